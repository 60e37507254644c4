"""Reading pasted lines, planning what they do, and how somebody stands: pure, no app."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules import Role, is_email, one_line
from portal.accounts.rules.invitations import Known, Outcome, plan_for_company, plan_for_staff, read_lines
from portal.accounts.rules.standing import Invitation, Standing, stand_of
from portal.accounts.rules.view_as import LIFE, look_is_live
from tests.conftest import NOW

GOOD = [
    ("Anna Example <anna@firm.example>", "Anna Example", "anna@firm.example"),
    ('"Surname, Name" <a@b.example>;', "Surname, Name", "a@b.example"),
    ("Anna\tanna@x.example", "Anna", "anna@x.example"),
    ("Muster, Max; m@x.example", "Muster, Max", "m@x.example"),
    ("O'Neil, o@n.example,", "O'Neil", "o@n.example"),
    ("  Zoë   Ångström  < zoe@x.example >", "Zoë Ångström", "zoe@x.example"),
]


@pytest.mark.parametrize(("line", "name", "email"), GOOD)
def test_a_line_is_read_as_people_write_it(line: str, name: str, email: str) -> None:
    (read,) = read_lines(line)
    assert (read.name, read.email, read.fault) == (name, email, "")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("anna@firm.example", "no name"),
        ("<anna@firm.example>", "no name"),
        ("nothing of use", "no name with an address"),
        ("Anna <not an address>", "not an e-mail address"),
        (f"{'x' * 201} <a@b.example>", "at most 200"),
    ],
)
def test_a_bad_line_says_why(line: str, fault: str) -> None:
    (read,) = read_lines(line)
    assert fault in read.fault


@given(st.lists(st.text(max_size=60), max_size=8))
def test_no_line_is_lost_and_none_is_taken_that_cannot_be_mailed(texts: list[str]) -> None:
    written = [text.replace("\n", " ").replace("\r", " ") for text in texts]
    read = read_lines("\n".join(written))
    assert [line.number for line in read] == [number for number, text in enumerate(written, 1) if one_line(text)]
    assert all(line.fault or (is_email(line.email) and 1 <= len(line.name) <= 200) for line in read)


def known(**changes: object) -> Known:
    usual = {"person_id": 7, "name": "Ann", "is_staff": False, "is_member": False, "deactivated_at": None}
    return Known(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("who", "for_company", "for_staff"),
    [
        (None, Outcome.INVITED, Outcome.INVITED),
        (known(), Outcome.JOINS, Outcome.REFUSED),
        (known(is_member=True), Outcome.MEMBER, Outcome.REFUSED),
        (known(is_staff=True), Outcome.JOINS, Outcome.MEMBER),
        (known(deactivated_at=NOW), Outcome.REFUSED, Outcome.REFUSED),
    ],
)
def test_what_becomes_of_a_line(who: Known | None, for_company: Outcome, for_staff: Outcome) -> None:
    lines = read_lines("Ann <ANN@x.example>")
    found = {"ann@x.example": who} if who else {}
    assert plan_for_company(lines, found, "Alder").rows[0].outcome is for_company
    assert plan_for_staff(lines, found).rows[0].outcome is for_staff


def test_the_same_address_twice_is_one_person_and_a_changed_plan_is_another() -> None:
    lines = read_lines("Ann <ann@x.example>\nbad\nAnn again <ANN@X.example>")
    plan = plan_for_company(lines, {}, "Alder")
    assert [row.outcome for row in plan.rows] == [Outcome.INVITED, Outcome.REFUSED, Outcome.REPEATED]
    assert "line 1" in plan.rows[2].why
    assert [row.line.number for row in plan.refused] == [2]
    assert plan_for_company(lines, {"ann@x.example": known()}, "Alder").seal != plan.seal


OPEN = Invitation(1, NOW - timedelta(days=2), NOW + timedelta(days=5))


@pytest.mark.parametrize(
    ("has_password", "deactivated", "invitation", "standing"),
    [
        (True, False, None, Standing.ACTIVE),
        (True, False, OPEN, Standing.ACTIVE),
        (False, False, OPEN, Standing.INVITED),
        (False, False, OPEN._replace(expires_at=NOW), Standing.LAPSED),
        (False, False, None, Standing.UNINVITED),
        (True, True, OPEN, Standing.DEACTIVATED),
    ],
)
def test_how_somebody_stands(
    has_password: bool, deactivated: bool, invitation: Invitation | None, standing: Standing
) -> None:
    when = NOW if deactivated else None
    stand = stand_of(has_password=has_password, deactivated_at=when, invitation=invitation, now=NOW)
    assert stand.standing is standing


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("changes", "lives"),
    [
        ({}, True),
        ({"role": Role.OFFICE}, True),
        ({"role": None}, False),
        ({"revoked_at": NOW}, False),
        ({"created_at": NOW - LIFE + MINUTE}, True),
        ({"created_at": NOW - LIFE}, False),
        ({"staff_revoked_at": NOW}, False),
        ({"staff_created_at": NOW - timedelta(hours=12)}, False),
        ({"staff_last_seen_at": NOW - timedelta(hours=3), "created_at": NOW - 10 * MINUTE}, True),
    ],
)
def test_a_look_lives_while_all_it_hangs_on_does(changes: dict[str, object], lives: bool) -> None:
    usual = {
        "role": Role.ADMIN,
        "created_at": NOW - MINUTE,
        "revoked_at": None,
        "staff_created_at": NOW - timedelta(hours=2),
        "staff_last_seen_at": NOW - 2 * MINUTE,
        "staff_revoked_at": None,
        "now": NOW,
    }
    assert look_is_live(**{**usual, **changes}) is lives  # type: ignore[arg-type]
