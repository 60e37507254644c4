"""On the page of a company: when it wants nothing touched, which other slots it asks for, and the way to answer."""

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.requests import add_freeze, answer_request, ask_for_slot
from portal.incidents.models import Freeze, Maintenance, SlotRequest
from portal.incidents.queries.planning import requests_of_company
from tests.admin.maintenances.conftest import HOUR, one, planned, soup
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World


def asked(cast: Cast, work: Maintenance, text: str) -> SlotRequest:
    made = ask_for_slot(
        work,
        company_id=cast.a.id,
        person_id=cast.alice.id,
        text=text,
        starts_at=None,
        ends_at=None,
        zone="UTC",
        by=SYSTEM,
        now=clock.utcnow(),
        idempotency_key=text,
    )
    db.session.commit()
    return made


def frozen(company_id: int, reason: str, days: int) -> Freeze:
    now = clock.utcnow()
    made = add_freeze(
        company_id,
        now + days * 24 * HOUR,
        now + (days + 1) * 24 * HOUR,
        reason,
        zone="UTC",
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=reason,
    )
    db.session.commit()
    return made


def test_what_it_asks_stands_on_its_page_with_the_way_to_answer(world: World, cast: Cast, sign_in: SignIn) -> None:
    path, client = f"/admin/companies/{cast.a.id}", sign_in(cast.ada)
    assert "no other slot" in one(soup(client.get(path)), "#company").get_text()
    waiting = asked(cast, planned("Core switch", [world.trunk.id]), "We sell on that day.")
    asked(cast, planned("Old switch", [world.trunk.id]), "Not in the morning.")
    declined = requests_of_company(cast.a.id)[0]
    assert declined.text == "Not in the morning."
    answer_request(
        declined,
        is_accepted=False,
        answer="It has to be then.",
        times=None,
        maintenance_version=declined.maintenance.version,
        notify=False,
        version=declined.version,
        by=SYSTEM,
        author_id=None,
        now=clock.utcnow(),
        idempotency_key="declined",
    )
    frozen(cast.a.id, "Stocktaking <b>", 10)
    frozen(cast.b.id, "Of another company", 10)
    gone = frozen(cast.a.id, "Taken back", 20)
    gone.removed_at = clock.utcnow()
    db.session.commit()
    page = one(soup(client.get(path)), "#company")
    text = " ".join(page.get_text().split())
    assert "Waits for an answer" in text
    assert "We sell on that day." in text
    assert "Declined" in text
    assert "Stocktaking <b>" in text
    assert "Of another company" not in text
    assert "Taken back" not in text
    addresses = [str(each["href"]) for each in page.select("a[href*='/maintenances/requests/']")]
    # The one that waits comes first, with a button beside its name.
    assert addresses == [f"/admin/maintenances/requests/{each}" for each in (waiting.id, waiting.id, declined.id)]
    assert client.get(addresses[0]).status_code == 200
    assert page.select_one("a[href='/admin/maintenances/freezes']") is not None
    other = one(soup(client.get(f"/admin/companies/{cast.b.id}")), "#company").get_text()
    assert "Of another company" in other
    assert "Stocktaking" not in other
    assert "Answer" not in one(soup(sign_in(cast.olaf).get(path)), "#planned-work").get_text()


def test_it_costs_the_same_queries_for_one_and_for_many(world: World, cast: Cast, sign_in: SignIn) -> None:
    path, client, counts = f"/admin/companies/{cast.a.id}", sign_in(cast.ada), []
    for size in (1, 14):
        for number in range(size):
            asked(cast, planned(f"Switch {size}-{number}", [world.trunk.id]), f"Please not {size}-{number}.")
            frozen(cast.a.id, f"Days {size}-{number}", 2 + number)
        with counted_queries() as statements:
            page = client.get(path)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert page.get_data(as_text=True).count("Please not") == 10
