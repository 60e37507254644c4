"""Setting a service's status for everybody who holds it, or for those chosen; and taking it back."""

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select

from portal import clock
from portal.accounts.models import Company
from portal.admin.services.numbers import NUMBERS_AT_MOST, numbers_in, text_of
from portal.catalogue.models import Holding
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.models import Broadcast
from portal.services.models import ServiceUpdate
from portal.services.queries.choosing import Choice, holdings_chosen
from portal.services.rules import Scope, ServiceStatus, Wanted
from tests.admin.services.conftest import fields_of, last_update, post, soup, standing, state
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import LONG_AGO, World

MANY = 10_000


def path(world: World) -> str:
    return f"/admin/services/{world.telephony.id}/set"


def opened(client: FlaskClient, world: World, **changes: Any) -> dict[str, Any]:
    fields = fields_of(client, path(world), "set-form")
    return fields | {"status": "system_is_down", "notes": "No calls get through."} | changes


def preview(client: FlaskClient, world: World, fields: dict[str, Any]) -> str:
    answer = client.post(f"{path(world)}/preview", data=fields, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return " ".join(soup(answer).get_text(" ").split())


@pytest.fixture
def b_too(world: World, cast: Cast) -> Holding:
    """Company B holds telephony as well."""
    made = Holding(company_id=cast.b.id, service_id=world.telephony.id, reference="ACC-2", valid_from=LONG_AGO)
    db.session.add(made)
    cast.b.external_id = "KD-77"
    db.session.commit()
    return made


def test_everybody_who_holds_it_in_one_act(world: World, b_too: Holding, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = opened(client, world)
    assert "Set for 2 companies and mail 3 people" in preview(client, world, fields)
    answer = post(client, path(world), fields)
    assert answer.status_code == 303
    assert standing() == dict.fromkeys((world.holding_a.id, b_too.id), ServiceStatus.DOWN)
    made = last_update()
    assert (made.scope, made.holdings, made.companies) == (Scope.ALL, 2, 2)
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 1
    page = client.get(answer.location).get_data(as_text=True)
    assert "0</span> sent" in page
    assert "for everybody who holds it" in page


@pytest.mark.parametrize(
    ("choice", "who"),
    [
        (Choice(), ""),
        (Choice(is_all=True), "ab"),
        (Choice(text="alder"), "a"),
        (Choice(text="ACC-"), "ab"),
        (Choice(text="acc-2"), "b"),
        (Choice(text="%"), ""),
        (Choice(numbers=("ACC-1",)), "a"),
        (Choice(numbers=("acc-1", "KD-77")), "ab"),
        (Choice(numbers=("ACC-1", "KD-77"), text="birch"), "b"),
        (Choice(numbers=("nobody",)), ""),
        (Choice(domain_id=0, text="acc"), ""),
    ],
)
def test_chosen_are_those_who_fulfil_everything(
    world: World, b_too: Holding, cast: Cast, choice: Choice, who: str
) -> None:
    cast.a.name_key, cast.b.name_key = "alder dental", "birch logistics"
    db.session.flush()
    found = holdings_chosen(world.telephony.id, choice, clock.utcnow())
    ids = {"a": world.holding_a.id, "b": b_too.id}
    assert list(found.holding_ids) == [ids[each] for each in who]
    assert found.companies == len(who)


def test_a_portal_domain_chooses_those_at_home_there(world: World, b_too: Holding, cast: Cast) -> None:
    found = holdings_chosen(world.telephony.id, Choice(domain_id=cast.domain_b.id), clock.utcnow())
    assert found.holding_ids == (b_too.id,)


def test_unknown_numbers_are_listed_and_nothing_is_lost(
    world: World, b_too: Holding, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    fields = opened(client, world, to="some", accounts="ACC-1\nACC-99\nKD-77\nLINE-9")
    page = preview(client, world, fields)
    assert "2 numbers go by nobody who holds it ACC-99 LINE-9" in page
    assert "Set for 2 companies" in page
    answer = post(client, path(world), fields)
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert "2 numbers go by nobody: ACC-99, LINE-9." in text
    assert "ACC-99\nKD-77" in soup(answer).select_one("#accounts").get_text().replace("\r", "")  # type: ignore[union-attr]
    assert standing() == {}
    answer = post(client, path(world), fields | {"skips_unknown": "y"})
    assert answer.status_code == 303
    made = last_update()
    assert (made.scope, made.holdings, made.chosen["unknown"]) == (Scope.CHOSEN, 2, ["ACC-99", "LINE-9"])
    assert "2 numbers were left out" in " ".join(soup(client.get(answer.location)).get_text(" ").split())


def test_a_file_of_numbers_is_read_and_stands_in_the_form(
    world: World, b_too: Holding, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    content = "Company;Account number\r\nBirch;ACC-2\r\nNobody;ACC-9\r\n".encode("utf-8-sig")
    fields = opened(client, world, to="some")
    refused = post(client, path(world), fields | {"accounts_file": (BytesIO(content), "numbers.csv")})
    assert refused.status_code == 422
    assert soup(refused).select_one("#accounts").get_text().split() == ["ACC-2", "ACC-9"]  # type: ignore[union-attr]
    picture = (BytesIO(b"\x89PNG\r\n\x1a\n\0\0\0"), "x.png")
    assert post(client, path(world), fields | {"accounts_file": picture}).status_code == 422
    good = (BytesIO(b"ACC-2\n"), "numbers.csv")
    assert post(client, path(world), fields | {"accounts_file": good}).status_code == 303
    assert standing() == {b_too.id: ServiceStatus.DOWN}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        (" \n\n", []),
        ("A-1\nA-2\r\nA-1\n", ["A-1", "A-2"]),
        ("A-1, A-2;A-3", ["A-1", "A-2;A-3"]),
        ("A-1;A-2", ["A-1", "A-2"]),
        ("A-1\tAlder\nA-2\tBirch", ["A-1", "A-2"]),
        ("Name,Reference\nAlder,A-1\nBirch,A-2\nCut", ["A-1", "A-2"]),
        ("ACCOUNT NUMBER\nA-1", ["A-1"]),
        ('"A-1"\n"A, 2"', ["A-1", "A, 2"]),
        ('12" pipe\nA-2', ['12" pipe', "A-2"]),
        ("\ufeffA-1", ["A-1"]),
    ],
)
def test_numbers_are_read_as_they_come(text: str, numbers: list[str]) -> None:
    assert numbers_in(text) == numbers


def test_what_are_no_numbers_is_refused() -> None:
    with pytest.raises(RuleViolation, match="At most 20,000"):
        numbers_in("\n".join(f"A-{number}" for number in range(NUMBERS_AT_MOST + 1)))
    with pytest.raises(RuleViolation, match="longer than an account number"):
        numbers_in("x" * 121)
    with pytest.raises(RuleViolation, match="no text"):
        text_of(b"PK\x03\x04\x00\x00")


def test_nobody_chosen_is_said_beside_the_choice(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = opened(client, world, to="some")
    assert "Nobody is chosen yet." in preview(client, world, fields)
    answer = post(client, path(world), fields)
    assert answer.status_code == 422
    assert "Choose whose service it is." in answer.get_data(as_text=True)
    assert post(client, path(world), opened(client, world, to="nobody")).status_code == 422


def test_beside_another_page_the_form_brings_its_preview(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    beside = soup(client.get(path(world), headers={"HX-Request": "true"}))
    assert beside.select_one("form #preview-source #preview") is not None
    assert soup(client.get(path(world))).select_one("form #preview") is None


def test_an_archived_or_missing_service_is_not_there(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert client.get("/admin/services/99999/set").status_code == 404
    world.spare.archived_at = world.internet.archived_at = LONG_AGO
    db.session.commit()
    assert client.get(f"/admin/services/{world.internet.id}/set").status_code == 404


def test_it_is_undone_while_nothing_is_sent(world: World, b_too: Holding, cast: Cast, sign_in: SignIn) -> None:
    state([b_too.id], Wanted(ServiceStatus.INTERMITTENT, notify=False), clock.utcnow() - timedelta(hours=1))
    client = sign_in(cast.ada)
    address = post(client, path(world), opened(client, world)).location
    page = soup(client.get(address)).get_text(" ")
    assert "Puts all 2 services back as they were and calls off the mails." in " ".join(page.split())
    undone = post(client, f"{address}/undo", {"csrf_token": fields_of(client, path(world), "set-form")["csrf_token"]})
    assert undone.status_code == 303
    assert standing() == {b_too.id: ServiceStatus.INTERMITTENT}
    assert last_update().undone_at is not None
    page_after = client.get(address).get_data(as_text=True)
    assert "Taken back" in page_after
    assert ">Undo<" not in page_after


def test_what_is_too_old_or_overtaken_is_not_undone(world: World, cast: Cast, sign_in: SignIn) -> None:
    made = state([world.holding_a.id], Wanted(ServiceStatus.DOWN), clock.utcnow() - timedelta(minutes=11))
    client = sign_in(cast.ada)
    address = f"/admin/services/updates/{made.id}"
    assert ">Undo<" not in client.get(address).get_data(as_text=True)
    token = fields_of(client, path(world), "set-form")["csrf_token"]
    answer = post(client, f"{address}/undo", {"csrf_token": token})
    assert answer.status_code == 422
    assert "It is more than ten minutes old." in answer.get_data(as_text=True)
    assert client.get("/admin/services/updates/99999").status_code == 404
    assert client.get(f"{address}?page=2").status_code == 404


def test_ten_thousand_holders_are_one_broadcast_with_as_many_queries_as_one(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    with counted_queries() as one:
        assert post(client, path(world), opened(client, world)).status_code == 303
    now = clock.utcnow()
    first = (db.session.scalar(select(func.max(Company.id))) or 0) + 1
    names = [f"Company {number:05}" for number in range(MANY)]
    db.session.execute(
        insert(Company),
        [
            {"id": first + place, "name": name, "name_key": name.lower(), "created_at": now}
            for place, name in enumerate(names)
        ],
    )
    db.session.execute(
        insert(Holding),
        [
            {
                "company_id": first + place,
                "service_id": world.telephony.id,
                "reference": f"T-{place}",
                "valid_from": LONG_AGO,
            }
            for place in range(MANY)
        ],
    )
    db.session.commit()
    with counted_queries() as many:
        answer = post(client, path(world), opened(client, world, notes="All of it."))
    assert answer.status_code == 303
    made = last_update()
    assert made.holdings == MANY + 1
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 2
    assert len(standing()) == MANY + 1
    assert len(many) <= len(one) + 40
    with counted_queries() as shown:
        page = client.get(answer.location)
    assert page.status_code == 200
    assert "Page 1 of 201" in page.get_data(as_text=True)
    assert len(shown) <= 25
    numbers = "\n".join(f"t-{place}" for place in range(MANY))
    chosen = preview(client, world, opened(client, world, to="some", accounts=numbers + "\nnone"))
    assert "Set for 10,000 companies" in chosen
    assert "1 number goes by nobody" in chosen
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == 2
