"""What is kept of who follows or has seen an incident: it goes out, and is forgotten, with its person and company."""

from datetime import timedelta

from sqlalchemy import func, select

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.hearing import ROWS
from portal.incidents.rules import Severity, State
from portal.records import erasure, retention
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World
from tests.incidents.test_actions import publish, update

NAMES = {"followed_incidents", "seen_incidents", "known_incidents"}


def noted(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE})
    actions.follow(incident, cast.alice.id, cast.a.id, True, by=SYSTEM, now=NOW)
    actions.acknowledge(incident, cast.a.id, cast.alice.id, by=SYSTEM, now=NOW)
    update(incident, State.FIXED)
    db.session.flush()


def left() -> int:
    return sum(db.session.scalar(select(func.count()).select_from(row)) or 0 for row in ROWS)


def test_it_goes_out_with_whose_it_is_and_with_nobody_elses(world: World, cast: Cast) -> None:
    noted(world, cast)
    for kind, mine, other in (
        (ExportKind.PERSON, cast.alice.id, cast.bob.id),
        (ExportKind.COMPANY, cast.a.id, cast.b.id),
    ):
        for part in parts_about(kind):
            if part.name in NAMES:
                (row,) = part.rows(mine, NOW)
                assert row.keys() >= part.columns.keys()
                assert list(part.rows(other, NOW)) == []


def test_it_is_erased_with_its_person_or_company(world: World, cast: Cast) -> None:
    noted(world, cast)
    for kind, mine in ((ExportKind.PERSON, cast.alice.id), (ExportKind.COMPANY, cast.a.id)):
        (eraser,) = [each for each in erasure.erasers_of(kind) if each.name == "incident_readers"]
        found = eraser.count(mine)
        assert eraser.erase(mine, NOW) == found
    assert left() == 0


def test_it_is_forgotten_once_the_incident_is_long_fixed(world: World, cast: Cast) -> None:
    noted(world, cast)
    keeping = retention.setting("incident_readers").keeping
    assert (keeping.count(NOW), keeping.forget(NOW, 100)) == (0, 0)
    after = NOW + timedelta(days=1)
    assert keeping.count(after) == 3
    assert keeping.forget(after, 100) == 3
    assert left() == 0
