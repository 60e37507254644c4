"""Two programs made for Statuspage read our page: each reports what the page itself shows."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.rules import MaintenanceState, Severity, State
from tests.support.product import Portal
from tests.support.visitor import Visitor

pytestmark = pytest.mark.processes

HOST = "localhost"
"""A name every resolver knows: both programs ask by address, not by Host header."""

HERE = Path(__file__).parent


def seed(product: Portal) -> str:
    """A page with a group of two components and one beside it, an open incident, and maintenance ahead and under way.

    Returns its address.
    """
    now = clock.utcnow()
    with product.database():
        domains.add_domain(product.address(HOST), "Northline", areas=[Area.PUBLIC_STATUS], by=SYSTEM, now=now)
        group = catalogue.add_group("Voice", by=SYSTEM, now=now)
        core, trunks, fibre = (
            catalogue.add_component(title, group_id=group_id, description=None, by=SYSTEM, now=now)
            for title, group_id in (("Voice core", group.id), ("SIP trunks", group.id), ("Fibre", None))
        )
        incidents.publish(
            "No dial tone",
            State.IDENTIFIED,
            "A card has failed.",
            {core.id: Severity.PARTIAL_RTH},
            notify=False,
            by=SYSTEM,
            author_id=None,
            now=now,
            idempotency_key="one",
        )
        for public_id, title, state, component, hours in (
            ("battery", "New battery", MaintenanceState.SCHEDULED, fibre, 5),
            ("filter", "New filter", MaintenanceState.IN_PROGRESS, trunks, -1),
        ):
            work = Maintenance(
                public_id=public_id,
                title=title,
                state=state,
                starts_at=now + timedelta(hours=hours),
                ends_at=now + timedelta(hours=hours + 2),
                created_at=now,
                public_updated_at=now,
            )
            db.session.add(work)
            db.session.flush()
            told = MaintenanceUpdate(
                maintenance_id=work.id, public_id=f"{public_id}-told", state=state, body=f"{title}.", posted_at=now
            )
            db.session.add_all([MaintenanceComponent(maintenance_id=work.id, component_id=component.id), told])
        events.commit()
    return product.address(HOST)


def test_two_programs_made_for_statuspage_read_our_page(product: Portal, tmp_path: Path) -> None:
    address = seed(product)
    visitor = Visitor(product.port, HOST)
    summary = json.loads(visitor.get("/api/v2/summary.json").text)
    page = visitor.get("/status").text
    assert all(
        text in page for text in ("No dial tone", "New battery", "New filter", "Voice core", "SIP trunks", "Fibre")
    )
    check_exporter(address, summary, tmp_path)
    check_npm_client(address, summary, visitor)


def check_exporter(address: str, summary: dict[str, Any], folder: Path) -> None:
    """`statuspage-prometheus-exporter`, run once as from a timetable: its figures are those of the page."""
    services = {"northline": {"name": "Northline", "url": f"{address}/api/v2/summary.json"}}
    (folder / "services.json").write_text(json.dumps(services))
    written = folder / "statuspage.prom"
    done = subprocess.run(
        [Path(sys.executable).with_name("statuspage-prometheus-exporter")],
        env={**without_proxies(), "RUN_MODE": "once", "METRICS_TEXTFILE_PATH": str(written)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    figures = {
        (sample.name, *(value for name, value in sample.labels.items() if name != "service_name")): sample.value
        for family in text_string_to_metric_families(written.read_text())
        for sample in family.samples
        if sample.name.startswith("statuspage_")
    }
    incident = summary["incidents"][0]
    under_way, ahead = summary["scheduled_maintenances"]
    assert figures["statuspage_probe_check",] == 1
    assert figures["statuspage_service_status",] == 0
    components = {key[1]: value for key, value in figures.items() if key[0] == "statuspage_component_status"}
    assert components == {"Fibre": 1, "Voice": 0, "Voice core": 0, "SIP trunks": 0}
    told = [set(key[1:]) for key, value in figures.items() if key[0] == "statuspage_incident_info" and value]
    assert len(told) == 1
    assert {incident["id"], "No dial tone", "major", incident["shortlink"], "Voice core"} < told[0]
    planned = [set(key[1:]) for key, value in figures.items() if key[0] == "statuspage_maintenance_info" and value]
    assert len(planned) == 2
    for work, named in (
        (under_way, {"filter", "New filter", "SIP trunks"}),
        (ahead, {"battery", "New battery", "Fibre"}),
    ):
        assert any(named | {work["shortlink"]} < each for each in planned)


def check_npm_client(address: str, summary: dict[str, Any], visitor: Visitor) -> None:
    """`statuspage.io` of npm: what it hands its caller is what the addresses answer."""
    done = subprocess.run(
        ["node", HERE / "read_everything.cjs", address],
        env=without_proxies(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["summary"] == summary
    for name, path in (
        ("status", "status"),
        ("components", "components"),
        ("incidents", "incidents"),
        ("unresolved", "incidents/unresolved"),
        ("upcoming", "scheduled-maintenances/upcoming"),
    ):
        assert found[name] == json.loads(visitor.get(f"/api/v2/{path}.json").text), name
    assert found["status"]["status"]["description"] == "Minor Service Outage"
    assert [each["name"] for each in found["unresolved"]["incidents"]] == ["No dial tone"]
    assert [each["name"] for each in found["upcoming"]["scheduled_maintenances"]] == ["New battery"]
    assert found["subscribing"] == HTTPStatus.METHOD_NOT_ALLOWED


def without_proxies() -> dict[str, str]:
    """The environment, asking this machine directly."""
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
