"""What customers ask of planned work: another slot, and days on which nothing of theirs is worked on."""

from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Freeze, SlotRequest
from portal.incidents.rules import Audience, Visibility
from portal.notifications.models import Broadcast
from tests.admin.maintenances.conftest import HOUR, fields, one, planned, post, soup, wall
from tests.conftest import Cast, SignIn, token_in
from tests.incidents.conftest import World, world

__all__ = ["world"]
FREEZES = "/maintenances/freezes"


def test_somebody_asks_for_another_slot_once(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    client = sign_in(cast.alice)
    page, path = f"/maintenances/{work.public_id}", f"/maintenances/{work.public_id}/slot"
    assert soup(client.get(page)).find("a", href=path)
    form = fields(client, path, "slot-form")
    assert post(client, path, form).status_code == 422
    better = work.starts_at + 24 * HOUR
    wanted = form | {"text": "We take stock.", "starts_at": wall(better, "UTC"), "ends_at": wall(better + HOUR, "UTC")}
    refused = post(client, path, wanted | {"starts_at": ""})
    assert refused.status_code == 422
    assert "We take stock." in one(soup(refused), "textarea").get_text()
    for _ in range(2):
        answer = post(client, path, wanted)
        assert answer.status_code == 303
        assert answer.headers["Location"] == page
    ask = db.session.scalars(select(SlotRequest)).one()
    assert (ask.company_id, ask.person_id, ask.text) == (cast.a.id, cast.alice.id, "We take stock.")
    assert (ask.starts_at, ask.ends_at) == (better, better + HOUR)
    shown = soup(client.get(page))
    assert "You asked for another time." in shown.get_text()
    assert shown.find("a", href=path) is None
    assert client.get(path).status_code == 303
    # A colleague sees it too, and cannot ask a second time.
    assert "We take stock." in soup(sign_in(cast.bob).get(page)).get_text()
    bob = sign_in(cast.bob)
    second = post(bob, path, form | token(bob) | {"key": "another", "text": "Me too."})
    assert second.status_code == 422
    assert "has asked already" in soup(second).get_text()
    # Another company neither asks nor reads of it.
    assert "We take stock." not in soup(sign_in(cast.charlie).get(page)).get_text()


def test_staff_are_asked_in_the_words_of_the_original(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id], translations={"de": {"title": "Neuer Verteiler"}})
    cast.alice.language = "de"
    db.session.commit()
    client, path = sign_in(cast.alice), f"/maintenances/{work.public_id}/slot"
    assert "Neuer Verteiler" in soup(client.get(path)).get_text()
    assert post(client, path, fields(client, path, "slot-form") | {"text": "Bitte später."}).status_code == 303
    mail = db.session.scalars(select(Broadcast).where(Broadcast.title.contains("another slot"))).one()
    assert mail.title == f"{cast.a.name} asks for another slot: Switch"
    assert mail.title in mail.content["en"]["text"]


def test_only_whom_it_reaches_and_while_it_is_ahead(world: World, cast: Cast, sign_in: SignIn) -> None:
    mine = planned("Switch", [world.trunk.id], audience=Audience.AFFECTED)
    begun = planned("Cable", [world.trunk.id], -HOUR)
    hidden = planned("Vault", [world.trunk.id], visibility=Visibility.PRIVATE)
    alice, charlie = sign_in(cast.alice), sign_in(cast.charlie)
    for client, work, code in ((alice, mine, 200), (charlie, mine, 404), (alice, hidden, 404), (alice, begun, 200)):
        assert client.get(f"/maintenances/{work.public_id}").status_code == code, (work.title, code)
    for client, work in ((charlie, mine), (alice, hidden)):
        assert client.get(f"/maintenances/{work.public_id}/slot").status_code == 404
    form = fields(alice, f"/maintenances/{mine.public_id}/slot", "slot-form") | {"text": "Later, please."}
    late = post(alice, f"/maintenances/{begun.public_id}/slot", form)
    assert late.status_code == 422
    assert "Later, please." in one(soup(late), "textarea").get_text()
    domain = cast.domain_a
    domains.set_areas(domain, set(Area) - {Area.STATUS}, version=domain.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert alice.get(FREEZES).status_code == 404


def test_days_without_work_are_added_and_removed(world: World, cast: Cast, sign_in: SignIn) -> None:
    client, now = sign_in(cast.alice), clock.utcnow().replace(second=0, microsecond=0)
    assert "No such days so far" in soup(client.get(FREEZES)).get_text()
    form = fields(client, FREEZES, "freeze-form")
    starts_at, ends_at = now + 24 * HOUR, now + 72 * HOUR
    wanted = form | {"starts_at": wall(starts_at, "UTC"), "ends_at": wall(ends_at, "UTC"), "reason": "Year-end closing"}
    for wrong in (
        {"starts_at": ""},
        {"ends_at": form["starts_at"]},
        {"ends_at": wall(now + timedelta(days=200), "UTC")},
    ):
        refused = post(client, FREEZES, wanted | wrong)
        assert refused.status_code == 422, wrong
        assert one(soup(refused), "input[name=reason]")["value"] == "Year-end closing"
    for _ in range(2):
        assert post(client, FREEZES, wanted).status_code == 303
    made = db.session.scalars(select(Freeze)).one()
    assert (made.company_id, made.starts_at, made.ends_at) == (cast.a.id, starts_at, ends_at)
    page = soup(sign_in(cast.bob).get(FREEZES))
    assert "Year-end closing" in page.get_text()
    assert "Year-end closing" not in soup(sign_in(cast.charlie).get(FREEZES)).get_text()
    remove = f"{FREEZES}/{made.public_id}/remove"
    charlie = sign_in(cast.charlie)
    assert post(charlie, remove, token(charlie)).status_code == 404
    for _ in range(2):
        assert post(client, remove, token(client)).status_code == 303
    assert "No such days so far" in soup(client.get(FREEZES)).get_text()
    assert db.session.scalar(select(func.count()).select_from(Freeze)) == 1


def token(client: FlaskClient) -> dict[str, Any]:
    """What a bare button sends."""
    return {"csrf_token": token_in(client, FREEZES)}
