"""The first page of staff."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from portal import clock
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.models import Maintenance
from portal.incidents.rules import MaintenanceState, Severity, Visibility
from portal.notifications.bounces import polling
from tests.admin.incidents.conftest import report, soup, world
from tests.conftest import STAFF_HOST, Cast, SignIn, counted_queries
from tests.incidents.conftest import World

__all__ = ["world"]

SLOW = Severity.PERFORMANCE_ISSUE


def test_nothing_open_is_said_in_one_sentence(world: World, cast: Cast, sign_in: SignIn) -> None:
    page = sign_in(cast.olaf).get("/admin/").get_data(as_text=True)
    assert "Nothing is open" in page
    assert "Publish a report" not in page


def test_open_incidents_stand_first_worst_on_top_with_what_is_owed(world: World, cast: Cast, sign_in: SignIn) -> None:
    report("Slow", {world.trunk.id: SLOW}, now=clock.utcnow() - timedelta(minutes=20))
    report("Down", {world.fibre.id: Severity.MAJOR_OUTAGE}, visibility=Visibility.PRIVATE)
    promised = timedelta(minutes=30)
    report("Promised", {world.fibre.id: SLOW}, now=clock.utcnow() - timedelta(minutes=20), next_update=promised)
    db.session.commit()
    page = soup(sign_in(cast.ada).get("/admin/"))
    rows = page.select(".open-report")
    assert [row.find("h3").get_text() for row in rows] == ["Down", "Promised", "Slow"]  # type: ignore[union-attr]
    assert ["Update due" in row.get_text() for row in rows] == [False, False, True]
    assert "Private" in rows[0].get_text()
    assert [link.get_text() for link in rows[0].select(".actions a")] == ["Update", "Resolve"]


def test_mail_on_its_way_and_work_ahead_are_shown(world: World, cast: Cast, sign_in: SignIn) -> None:
    report("Mailed", {world.trunk.id: SLOW}, notify=True)
    now = clock.utcnow()
    for title, starts in (("Under way", -1), ("Tomorrow", 24), ("Over", -50)):
        db.session.add(
            Maintenance(
                public_id=title,
                title=title,
                state=MaintenanceState.SCHEDULED,
                starts_at=now + timedelta(hours=starts),
                ends_at=now + timedelta(hours=starts + 2),
                created_at=now,
                public_updated_at=now,
            )
        )
    db.session.commit()
    page = soup(sign_in(cast.ada).get("/admin/"))
    assert "Mailed" in page.select_one(".mail-line").get_text()  # type: ignore[union-attr]
    text = " ".join(page.get_text(" ").split())
    assert "Under way" in text
    assert "In progress" in text
    assert "Tomorrow" in text
    assert "Over " not in text


def test_a_look_costs_at_most_thirty_statements_while_everything_happens_at_once(
    app: Flask, world: World, cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mails of an incident are late, the mailbox of reports is not read, a company cannot be reached."""
    settings = replace(app.config["SETTINGS"], bounce_imap_url="imaps://reports:word@mail.example.com")
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    now = clock.utcnow()
    for number in range(3):
        at = now - timedelta(minutes=10 + number)
        report(f"Down {number}", {world.trunk.id: Severity.MAJOR_OUTAGE}, notify=True, now=at)
    assert polling.begin(settings, "me", now)
    polling.rest(settings, "me", "The mail server refuses.", now)
    accounts.add_company("Cedar Clinic", by=SYSTEM, now=now)
    db.session.commit()
    client = sign_in(cast.root)
    client.get("/admin/")
    with counted_queries() as statements:
        page = client.get("/admin/").text
    for sentence in ("Mails of incidents are late", "see what the mailbox says", "1 company"):
        assert sentence in page
    assert len(statements) <= 30, "\n".join(" ".join(each.split())[:150] for each in statements)


def test_quick_publish_leads_to_the_filled_form(world: World, cast: Cast, sign_in: SignIn) -> None:
    form = soup(sign_in(cast.ada).get("/admin/")).select_one(".quick-form")
    assert form is not None
    assert form["action"] == "/admin/incidents/new"
    assert form["method"] == "get"


@pytest.mark.parametrize(("who", "status"), [("alice", 404), (None, 302)])
def test_it_is_for_staff(cast: Cast, sign_in: SignIn, visitor: object, who: str | None, status: int) -> None:
    client = sign_in(getattr(cast, who)) if who else visitor(STAFF_HOST)  # type: ignore[operator]
    assert client.get("/admin/").status_code == status


def test_the_live_part_is_inside_the_page(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fragment = client.get("/admin/", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert fragment.lstrip().startswith('<div class="overview" id="overview" data-live="staff')
