"""The portal domains: only admins, switches that count at once, exceptions, refusals."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.models import AreaOverride, PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/settings/portals"
HTMX = {"HX-Request": "true"}
NEW: dict[str, Any] = {
    "base_url": "https://c.portal.test",
    "brand": "Coastline",
    "accent": "#aa1155",
    "language": "de",
    "time_zone": "Europe/Berlin",
}


def post(client: FlaskClient, path: str, headers: dict[str, str] | None = None, **fields: Any) -> tuple[int, str]:
    data = {"csrf_token": token_in(client, LIST), **fields}
    answer = client.post(path, data=data, headers=headers)
    return answer.status_code, answer.get_data(as_text=True)


def fresh(domain_id: int) -> PortalDomain:
    """The domain as the database has it, whatever this session remembers."""
    return db.session.get_one(PortalDomain, domain_id, populate_existing=True)


def test_only_admins_come_in(cast: Cast, sign_in: SignIn) -> None:
    assert sign_in(cast.root).get(LIST).status_code == 200
    for person in (cast.ada, cast.olaf):
        assert sign_in(person).get(LIST).status_code == 403
    assert sign_in(cast.alice).get(LIST).status_code == 404


def test_a_new_domain_opens_just_what_its_set_up_ticks(cast: Cast, sign_in: SignIn) -> None:
    status, _ = post(sign_in(cast.root), f"{LIST}/new", **NEW, services="y")
    assert status == 303
    added = db.session.scalars(select(PortalDomain).where(PortalDomain.brand == "Coastline")).one()
    assert (added.areas, added.accent, added.host) == (["services"], "#aa1155", "c.portal.test")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "http://a.portal.test:99"),
        ("base_url", "https://user@evil.test"),
        ("base_url", "http://["),
        ("base_url", "javascript:alert(1)"),
        ("base_url", ""),
        ("brand", ""),
        ("brand", "x" * 101),
        ("accent", "red;}"),
        ("language", "tlh"),
        ("time_zone", "Mars/Base"),
        ("support_email", "nobody"),
        ("support_phone", "1" * 41),
    ],
)
def test_a_refusal_stands_beside_its_field_and_keeps_the_rest(
    cast: Cast, sign_in: SignIn, field: str, value: str
) -> None:
    client = sign_in(cast.root)
    for path in (f"{LIST}/new", f"{LIST}/{cast.domain_b.id}/edit"):
        status, page = post(client, path, **{**NEW, "version": cast.domain_b.version, field: value})
        assert status == 422
        assert "field-error" in page
        assert ("Coastline" if field != "brand" else "c.portal.test") in page
    assert len(db.session.scalars(select(PortalDomain)).all()) == 2
    assert fresh(cast.domain_b.id).brand == "Southline"


def test_a_switch_counts_on_the_very_next_request(cast: Cast, sign_in: SignIn) -> None:
    client, alice, charlie = sign_in(cast.root), sign_in(cast.alice), sign_in(cast.charlie)
    assert alice.get("/status").status_code == charlie.get("/status").status_code == 200
    path = f"{LIST}/{cast.domain_a.id}/areas"
    status, fragment = post(client, path, HTMX, version=cast.domain_a.version, services="y")
    assert status == 200
    assert fragment.startswith('<div class="catalogue" id="portal">')
    assert alice.get("/status").status_code == 404
    assert alice.get("/status", headers=HTMX).status_code == 404
    assert charlie.get("/status").status_code == 200
    status, _ = post(client, path, version=fresh(cast.domain_a.id).version, services="y", status="y")
    assert status == 303
    assert alice.get("/status").status_code == 200


def test_switches_leave_areas_alone_that_have_no_screens_yet(cast: Cast, sign_in: SignIn) -> None:
    post(sign_in(cast.root), f"{LIST}/{cast.domain_a.id}/areas", HTMX, version=cast.domain_a.version)
    assert set(fresh(cast.domain_a.id).areas) == {"tickets", "chat"}
    page = sign_in(cast.root).get(f"{LIST}/{cast.domain_a.id}").get_data(as_text=True)
    assert 'name="tickets"' not in page


def test_of_two_admins_at_the_switches_the_second_is_told(cast: Cast, sign_in: SignIn) -> None:
    client, opened = sign_in(cast.root), cast.domain_a.version
    path = f"{LIST}/{cast.domain_a.id}/areas"
    assert post(client, path, HTMX, version=opened, status="y")[0] == 200
    status, fragment = post(client, path, HTMX, version=opened, services="y")
    assert status == 409
    assert "Somebody else changed the switches" in fragment
    assert "status" in fresh(cast.domain_a.id).areas
    assert post(client, path, version=opened, services="y")[0] == 409
    assert post(client, path, HTMX)[0] == 422


def test_an_exception_is_found_made_and_taken_away(cast: Cast, sign_in: SignIn) -> None:
    client, alice, base = sign_in(cast.root), sign_in(cast.alice), f"{LIST}/{cast.domain_a.id}"
    # The signed-out page would still show, so it is closed too.
    actions.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    db.session.commit()
    found = client.get(f"{base}?area=status&q=ald").get_data(as_text=True)
    assert "Close for them: Alder Dental" in found
    assert "Birch" not in found
    fields: dict[str, Any] = {"area": "status", "company_id": cast.a.id}
    assert post(client, f"{base}/exceptions", **fields, is_open="no")[0] == 303
    assert alice.get("/status").status_code == 404
    assert "Remove the exception for Alder Dental" in client.get(base).get_data(as_text=True)
    assert post(client, f"{base}/exceptions", **fields, is_open="")[0] == 303
    assert alice.get("/status").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"area": "status", "company_id": 4711, "is_open": "no"},
        {"area": "nonsense", "is_open": "no"},
        {"area": "tickets", "is_open": "no"},
        {"area": "public_status", "is_open": "no"},
        {"area": "status", "is_open": "maybe"},
        {"area": "status", "company_id": "x", "is_open": "no"},
    ],
)
def test_a_nonsense_exception_is_refused(cast: Cast, sign_in: SignIn, fields: dict[str, Any]) -> None:
    path = f"{LIST}/{cast.domain_a.id}/exceptions"
    assert post(sign_in(cast.root), path, **{"company_id": cast.a.id, **fields})[0] == 422
    assert not db.session.scalars(select(AreaOverride)).all()


def test_a_company_that_does_not_sign_in_here_gets_no_exception(cast: Cast, sign_in: SignIn) -> None:
    fields: dict[str, Any] = {"area": "status", "company_id": cast.b.id, "is_open": "no"}
    status, page = post(sign_in(cast.root), f"{LIST}/{cast.domain_a.id}/exceptions", **fields)
    assert status == 422
    assert "Birch Logistics does not use a.portal.test" in page


def test_the_brand_is_text_and_never_markup(cast: Cast, sign_in: SignIn) -> None:
    nasty = "<script>alert(1)</script>\"'&"
    actions.add_domain("https://c.portal.test", nasty, areas=[Area.STATUS], by=SYSTEM, now=NOW)
    db.session.commit()
    added = db.session.scalars(select(PortalDomain).where(PortalDomain.host == "c.portal.test")).one()
    client = sign_in(cast.root)
    for path in (LIST, f"{LIST}/{added.id}", f"{LIST}/{added.id}/edit", f"/admin/companies/{cast.a.id}"):
        assert "<script>alert" not in client.get(path).get_data(as_text=True)


def test_what_is_missing_is_404(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    assert client.get(f"{LIST}/4711").status_code == client.get(f"{LIST}/4711/edit").status_code == 404
    assert post(client, f"{LIST}/4711/areas", version=1)[0] == 404


def test_the_page_costs_the_same_queries_whatever_the_number_of_exceptions(cast: Cast, sign_in: SignIn) -> None:
    client, counts = sign_in(cast.root), []
    actions.admit(cast.b, cast.domain_a, is_home=False, by=SYSTEM, now=NOW)
    for company in (cast.a, cast.b):
        for area in (Area.STATUS, Area.SERVICES):
            actions.set_override(cast.domain_a, company, area, False, by=SYSTEM, now=NOW)
        db.session.commit()
        with counted_queries() as statements:
            assert client.get(f"{LIST}/{cast.domain_a.id}").status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]
