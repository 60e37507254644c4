"""Statements made ready once mean what they mean when SQLAlchemy executes them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Integer, Select, bindparam, func, literal, or_, select
from sqlalchemy.exc import SQLAlchemyError

from portal.accounts.models import Person, Session
from portal.accounts.rules import Role
from portal.database import UTCDateTime, moment_of
from portal.extensions import db, rows
from portal.prepared import MOST_FORMS, Prepared, prepared
from tests.conftest import NOW, Cast, SignIn, counted_queries


def people_of(cast: Cast) -> Iterator[Person]:
    return iter((cast.ada, cast.olaf, cast.root, cast.alice, cast.bob, cast.charlie))


IDS: Any = bindparam("ids", expanding=True)
SINCE: Any = bindparam("since", type_=UTCDateTime())

BY_ID = select(Person.id, Person.name, Person.role, Person.created_at).where(Person.id.in_(IDS)).order_by(Person.id)
TWICE = (
    select(Person.id, Person.role.is_(None).label("is_customer"))
    .where(or_(Person.id.in_(IDS), Person.id.in_(IDS)), Person.role.in_([Role.STATUS, Role.ADMIN]))
    .where(Person.created_at >= SINCE, Person.created_at >= SINCE)
    .order_by(Person.id)
    .limit(bindparam("limit", type_=Integer()))
)
JOINED = select(func.aggregate_strings(Person.name, "; "), literal(7)).where(Person.created_at >= SINCE)


@pytest.mark.parametrize("count", [0, 1, 6, 2])
@pytest.mark.parametrize(
    ("statement", "also"),
    [
        (BY_ID, {}),
        (TWICE, {"since": NOW, "limit": 5}),
        (TWICE, {"since": NOW + timedelta(microseconds=1), "limit": 5}),
    ],
)
def test_the_rows_are_those_of_sqlalchemy(cast: Cast, statement: Select[Any], also: dict[str, Any], count: int) -> None:
    given = {"ids": sorted(each.id for each in people_of(cast))[:count], **also}
    expected = [tuple(row) for row in db.session.execute(statement, given)]
    assert rows(statement, **given) == expected
    assert [[type(value) for value in row] for row in rows(statement, **given)] == [
        [type(value) for value in row] for row in expected
    ]


def test_columns_have_their_names(cast: Cast) -> None:
    (found,) = rows(BY_ID, ids=[cast.ada.id])
    assert (found.id, found.name, found.role, found.created_at) == (cast.ada.id, "Ada", Role.STATUS, NOW)
    names, seven = rows(JOINED, since=NOW)[0]
    assert sorted(names.split("; ")) == sorted(each.name for each in people_of(cast))
    assert seven == 7


def test_what_is_pending_is_found_and_the_statement_is_counted(cast: Cast) -> None:
    ids = [cast.ada.id]
    cast.ada.name = "Ada Byron"
    with counted_queries() as statements:
        (found,) = rows(BY_ID, ids=ids)
    assert found.name == "Ada Byron"
    assert [statement.split()[0] for statement in statements] == ["UPDATE", "SELECT"]


def test_a_value_too_few_is_refused(session: None) -> None:
    with pytest.raises((KeyError, SQLAlchemyError)):
        rows(JOINED)
    rows(JOINED, since=NOW)
    with pytest.raises(KeyError):
        rows(JOINED)


def test_a_statement_is_made_ready_once_and_keeps_few_texts(session: None) -> None:
    assert prepared(BY_ID) is prepared(BY_ID)
    ready = Prepared(BY_ID)
    for count in range(MOST_FORMS + 3):
        assert ready.rows(db.session.connection(), {"ids": list(range(-count, 0))}) == []
    assert len(ready._forms) == MOST_FORMS


def test_moments_read_as_the_database_has_them_are_moments(cast: Cast, sign_in: SignIn) -> None:
    sign_in(cast.alice)
    as_text = func.aggregate_strings(db.cast(Session.created_at, db.String), "; ")
    told = db.session.scalar(select(as_text))
    assert [moment_of(each) for each in str(told).split("; ")] == [db.session.scalars(select(Session.created_at)).one()]
    assert moment_of(NOW) == NOW
