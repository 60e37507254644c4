"""What a company may take with it of its service statuses, what is forgotten, and what goes with the company."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from portal.accounts.actions.anonymise import delete_company
from portal.audit.rules import Actor
from portal.catalogue.models import Holding
from portal.database import Base
from portal.extensions import db
from portal.records import retention
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from portal.services.actions import Wanted, undo
from portal.services.models import (
    ServiceUpdate,
    ServiceView,
    ServiceWindow,
    StatedPeriod,
    UpdateTarget,
    WindowHolding,
)
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World
from tests.services.acts import HOUR, ada, scheduled, state

DAY = timedelta(days=1)


def exported(company_id: int, name: str) -> list[Mapping[str, Any]]:
    (part,) = [each for each in parts_about(ExportKind.COMPANY) if each.name == name]
    rows: Iterable[Mapping[str, Any]] = part.rows(company_id, NOW + DAY)
    return [{column: row.get(column) for column in part.columns} for row in rows]


def count(model: type[Base]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def history(cast: Cast, world: World) -> None:
    """A problem of both, over for A; scheduled service for A; and what was undone."""
    both = [world.holding_a.id, world.holding_b.id]
    undo(state(cast, both, Wanted(ServiceStatus.DOWN, "Wrong."), "0"), by=ada(cast), now=NOW)
    state(cast, both, Wanted(ServiceStatus.DOWN, "We are on it.", ticket="T-1", ends_at=NOW + 2 * HOUR), "1")
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL, "It works."), "2", NOW + HOUR)
    state(cast, [world.holding_a.id], scheduled(starts_at=NOW + 2 * HOUR), "3", NOW + HOUR)


def test_a_company_takes_with_it_what_was_said_of_its_own_services(cast: Cast, world: World) -> None:
    history(cast, world)
    rows = exported(cast.a.id, "service_updates")
    assert [(row["status"], row["notes"], row["ticket"]) for row in rows] == [
        (ServiceStatus.DOWN, "We are on it.", "T-1"),
        (ServiceStatus.NORMAL, "It works.", ""),
        (ServiceStatus.SCHEDULED, "", ""),
    ]
    assert {(row["service"], row["reference"]) for row in rows} == {("Hosted telephony", "ACC-1")}
    (problem,) = exported(cast.a.id, "service_problems")
    assert (problem["began_at"], problem["ended_at"]) == (NOW, NOW + HOUR)
    (other,) = exported(cast.b.id, "service_problems")
    assert (other["reference"], other["ended_at"]) == ("LINE-9", None)


def test_what_a_company_may_not_see_does_not_leave_either(cast: Cast, world: World) -> None:
    history(cast, world)
    view = ServiceView(
        domain_id=cast.domain_a.id, shows_notes=False, shows_tickets=False, shows_end_times=False, hidden_services=[]
    )
    db.session.add(view)
    db.session.flush()
    rows = exported(cast.a.id, "service_updates")
    assert {(row["notes"], row["ticket"], row["ends_at"]) for row in rows} == {(None, None, None)}
    view.shows_history = False
    db.session.flush()
    assert exported(cast.a.id, "service_updates") == exported(cast.a.id, "service_problems") == []
    view.shows_history, view.hidden_services = True, [world.telephony.id]
    db.session.flush()
    assert exported(cast.a.id, "service_updates") == exported(cast.a.id, "service_problems") == []


def test_a_large_history_is_exported_whole_and_in_order(cast: Cast, world: World) -> None:
    more = [
        Holding(company_id=cast.a.id, service_id=world.telephony.id, reference=f"N-{number}", valid_from=NOW)
        for number in range(300)
    ]
    db.session.add_all(more)
    db.session.flush()
    ids = [each.id for each in more]
    for number, status in enumerate((ServiceStatus.DOWN, ServiceStatus.INTERMITTENT, ServiceStatus.NORMAL)):
        state(cast, ids, Wanted(status), f"{number}", NOW + number * HOUR)
    rows = exported(cast.a.id, "service_updates")
    assert len(rows) == 900
    assert [row["said_at"] for row in rows] == sorted(row["said_at"] for row in rows)


def test_what_is_long_over_is_forgotten_and_what_stands_is_kept(cast: Cast, world: World) -> None:
    history(cast, world)
    years = NOW + 4 * 365 * DAY
    # The problem of B still stands, with the update that began it; everything else is old.
    assert retention.setting("service_updates").keeping.count(years - 1095 * DAY) == 2
    assert retention.forget_some("service_updates", years) == 2
    assert retention.forget_some("service_updates", years) == 0
    db.session.expire_all()
    kept = db.session.scalars(select(ServiceUpdate.idempotency_key).order_by(ServiceUpdate.id)).all()
    assert kept == ["0", "1"]
    assert (count(ServiceWindow), count(WindowHolding)) == (0, 0)
    assert db.session.scalar(select(func.count()).select_from(StatedPeriod).where(StatedPeriod.ended_at.is_(None))) == 1


def test_what_is_younger_stays(cast: Cast, world: World) -> None:
    history(cast, world)
    assert retention.forget_some("service_updates", NOW + 1095 * DAY) == 0


def test_what_was_said_of_a_company_goes_with_it_and_others_keep_theirs(cast: Cast, world: World) -> None:
    history(cast, world)
    root = Actor(cast.root.email, cast.root.id)
    cast.a.archived_at = NOW
    db.session.flush()
    delete_company(cast.a, cast.a.name, version=cast.a.version, by=root, now=NOW + DAY)
    db.session.flush()
    db.session.expire_all()
    assert set(db.session.scalars(select(UpdateTarget.company_id))) == {cast.b.id}
    assert (count(ServiceUpdate), count(ServiceWindow)) == (2, 0)
    assert db.session.scalars(select(StatedPeriod.company_id)).all() == [cast.b.id]
