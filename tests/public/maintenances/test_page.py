"""The permanent page of planned work: what it means for whoever reads it, and its entry for a calendar."""

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from icalendar import Calendar

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions import maintenance as acts
from portal.incidents.calendars import uid_of
from portal.incidents.rules import Audience, Visibility
from portal.incidents.rules.maintenance import WorkImpact
from tests.admin.maintenances.conftest import HOUR, one, planned, soup
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World, world

__all__ = ["world"]


def test_it_says_what_it_means_for_the_reader(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id], impact=WorkImpact.OUTAGE)
    mine = soup(sign_in(cast.alice).get(f"/maintenances/{work.public_id}"))
    text = " ".join(one(mine, "#main").get_text().split())
    assert "Concerns you" in text
    assert "Hosted telephony (ACC-1)" in text
    assert "It does not work meanwhile." in text
    assert "We replace a switch." in text
    others = " ".join(soup(sign_in(cast.charlie).get(f"/maintenances/{work.public_id}")).get_text().split())
    assert "None of yours is worked on." in others
    assert "Concerns you" not in others
    assert "Does this time not suit you?" not in others
    with counted_queries() as queries:
        sign_in(cast.alice).get(f"/maintenances/{work.public_id}")
    assert len(queries) <= 40


def test_signed_out_it_is_everybodys_page(
    world: World, cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    work = planned("Switch", [world.trunk.id])
    affected = planned("Cable", [world.trunk.id], audience=Audience.AFFECTED)
    private = planned("Vault", [world.trunk.id], visibility=Visibility.PRIVATE)
    client = visitor("a.portal.test")
    answer = client.get(f"/maintenances/{work.public_id}")
    assert answer.status_code == 200
    assert "public" in answer.headers["Cache-Control"]
    assert "Add to your calendar" in answer.get_data(as_text=True)
    assert "Your services" not in answer.get_data(as_text=True)
    for hidden in (affected, private):
        for path in ("", ".ics"):
            assert client.get(f"/maintenances/{hidden.public_id}{path}").status_code == 302
    assert sign_in(cast.alice).get(f"/maintenances/{private.public_id}").status_code == 404
    assert sign_in(cast.alice).get("/maintenances/nothing.ics").status_code == 404


def test_its_timeline_follows_and_hides_reminders(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    client, now = sign_in(cast.alice), clock.utcnow()
    said: dict[str, Any] = {"notify": False, "by": SYSTEM, "author_id": None, "now": now}
    acts.move(
        work,
        work.starts_at + HOUR,
        work.ends_at + HOUR,
        "Europe/London",
        "",
        version=work.version,
        idempotency_key="1",
        **said,
    )
    db.session.commit()
    text = " ".join(soup(client.get(f"/maintenances/{work.public_id}")).get_text().split())
    assert "Moved" in text
    acts.cancel(work, "No parts.", version=work.version, idempotency_key="2", **said)
    db.session.commit()
    page = soup(client.get(f"/maintenances/{work.public_id}"))
    assert "No parts." in page.get_text()
    assert page.select_one(".facts s") is not None
    assert "Add to your calendar" not in page.get_text()


def test_its_entry_is_the_one_mails_bring(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    for person, company_id in ((cast.alice, cast.a.id), (cast.charlie, None)):
        answer = sign_in(person).get(f"/maintenances/{work.public_id}.ics")
        assert answer.mimetype == "text/calendar"
        [event] = Calendar.from_ical(answer.data).walk("VEVENT")
        assert str(event["UID"]) == uid_of(work.public_id, "portal.test", company_id)
        assert (event.decoded("DTSTART"), event.decoded("DTEND")) == (work.starts_at, work.ends_at)
        assert str(event["SUMMARY"]) == "Switch"
        assert str(event["URL"]).endswith(f"/maintenances/{work.public_id}")


def test_home_names_what_is_ahead_and_under_way(world: World, cast: Cast, sign_in: SignIn) -> None:
    ahead = planned("Switch", [world.trunk.id])
    begun = planned("Cable", [world.exchange.id], -HOUR)
    elsewhere = planned("Fibre works", [world.fibre.id])
    page = soup(sign_in(cast.alice).get("/"))
    assert one(page, "#banner .ahead a")["href"] == f"/maintenances/{ahead.public_id}"
    assert one(page, "#banner .banner-title a")["href"] == f"/maintenances/{begun.public_id}"
    assert elsewhere.title not in page.get_text()
