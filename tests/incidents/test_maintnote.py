"""A program made to read carriers' maintenance mails reads ours: the mail itself, as a server is given it."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions import announcing
from portal.incidents.calendars import uid_of
from portal.incidents.mails.maintenance import MAINTENANCE
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.notifications.compose import Letter, Wording
from portal.notifications.kinds import BUILT_IN, register
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World

pytestmark = pytest.mark.processes

PARSER = Path(sys.prefix) / "maintnote"
"""Where `make install-dev` puts the parser: it needs an older icalendar than we do."""


def told(made: Maintenance, kind: Notice, number: int) -> Broadcast:
    made.sequence = number
    update = MaintenanceUpdate(
        maintenance_id=made.id,
        public_id=f"told-{number}",
        kind=kind,
        state=made.state,
        body="Zürich, line 1;\nBEGIN:VEVENT\n\n- a, b; c \\ d",
        posted_at=NOW,
        starts_at=made.starts_at,
        ends_at=made.ends_at,
        notify=True,
    )
    db.session.add(update)
    db.session.flush()
    broadcast = announcing.tell(made, update, by=SYSTEM, now=NOW)
    assert broadcast is not None
    return broadcast


def mail_to(name: str, broadcast: Broadcast) -> bytes:
    """The mail to one person as it is sent."""
    delivery = db.session.scalars(
        select(Delivery).where(Delivery.broadcast_id == broadcast.id, Delivery.name == name)
    ).one()
    wording = Wording(
        broadcast.content[delivery.wording],
        BUILT_IN | MAINTENANCE.variables,
        mail_from="status@portal.test",
        list_name="Maintenance",
        list_id="maintenance.portal.test",
        feedback_id="1",
    )
    return wording.fill(Letter("<m@portal.test>", "<r@portal.test>", delivery.address, name, NOW, delivery.values))


def read(folder: Path, mail: bytes) -> list[dict[str, Any]]:
    """What the parser finds in a mail."""
    (folder / "mail.eml").write_bytes(mail)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("read_maintnote.py"), folder / "mail.eml"],
        env={"PYTHONPATH": str(PARSER), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_circuit_maintenance_parser_reads_our_mails(world: World, cast: Cast, tmp_path: Path) -> None:
    register(MAINTENANCE)
    cast.a.external_id = "K-4711"
    world.holding_a.reference = "ÄCC-1, row 2; left"
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    made = Maintenance(
        public_id="battery",
        title="New battery, Zürich; both rows",
        state=MaintenanceState.SCHEDULED,
        impact=WorkImpact.REDUCED_REDUNDANCY,
        starts_at=NOW + timedelta(days=2),
        ends_at=NOW + timedelta(days=2, hours=3),
        created_at=NOW,
        public_updated_at=NOW,
    )
    db.session.add(made)
    db.session.flush()
    db.session.add_all(
        MaintenanceComponent(maintenance_id=made.id, component_id=each.id) for each in (world.trunk, world.fibre)
    )
    db.session.flush()
    mine: dict[str, Any] = {
        "account": "K-4711",
        "circuits": [{"circuit_id": "ÄCC-1, row 2; left", "impact": "REDUCED-REDUNDANCY"}],
        "start": round(made.starts_at.timestamp()),
        "end": round(made.ends_at.timestamp()),
        "maintenance_id": "battery",
        "organizer": "mailto:status@portal.test",
        "provider": "portal.test",
        "sequence": 10,
        "stamp": round(NOW.timestamp()),
        "status": "CONFIRMED",
        "summary": "Maintenance: New battery, Zürich; both rows",
        "uid": uid_of("battery", "portal.test", cast.a.id),
    }
    first, second = read(tmp_path, mail_to("Alice", told(made, Notice.ANNOUNCED, 1)))
    assert {name: first[name] for name in mine} == mine
    assert (second["account"], [each["circuit_id"] for each in second["circuits"]]) == (cast.b.name, ["LINE-9"])
    made.starts_at, made.ends_at = made.starts_at + timedelta(days=1), made.ends_at + timedelta(days=1)
    (moved,) = read(tmp_path, mail_to("Bob", told(made, Notice.MOVED, 2)))
    changed = {"status": "RE-SCHEDULED", "sequence": 20, "start": mine["start"] + 86400, "end": mine["end"] + 86400}
    assert {name: moved[name] for name in mine} == mine | changed
    made.state = MaintenanceState.CANCELLED
    (off,) = read(tmp_path, mail_to("Bob", told(made, Notice.CANCELLED, 3)))
    assert (off["status"], off["sequence"], off["uid"]) == ("CANCELLED", 34, mine["uid"])
