"""The permanent page of an incident: for whom it exists (T03, T07, T16)."""

from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from portal import events
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.conftest import NOW, Cast, SignIn, client_on
from tests.customer.outages import Outage, update
from tests.incidents.conftest import World

Visitor = Callable[[str], FlaskClient]

A = "a.portal.test"
HTMX = {"HX-Request": "true"}


def test_a_public_one_is_there_for_everybody(
    cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
) -> None:
    incident = outage_of(world.trunk)
    update(incident, State.IDENTIFIED, "A card has failed.", {world.fibre.id: Severity.PARTIAL_RTH})
    for client in (visitor(A), sign_in(cast.alice), sign_in(cast.charlie)):
        page = client.get(f"/incidents/{incident.public_id}").text
        assert "A card has failed." in page
        assert "Fibre" in page


def test_the_companys_own_services_are_named(cast: Cast, world: World, sign_in: SignIn, outage_of: Outage) -> None:
    incident = outage_of(world.trunk)
    assert "Affects your Hosted telephony (ACC-1)" in sign_in(cast.alice).get(f"/incidents/{incident.public_id}").text
    assert "Affects your" not in sign_in(cast.charlie).get(f"/incidents/{incident.public_id}").text


def test_a_fixed_one_stays_where_it_was(cast: Cast, world: World, visitor: Visitor, outage_of: Outage) -> None:
    incident = outage_of(world.trunk)
    update(incident, State.FIXED, "Over.")
    page = visitor(A).get(f"/incidents/{incident.public_id}").text
    assert "Fixed" in page
    assert "lasted 10 minutes" in page


def test_t03_one_of_others_is_answered_like_a_missing_one(
    cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
) -> None:
    incident = outage_of(world.fibre, title="CANARY-b", audience=Audience.AFFECTED)
    client = sign_in(cast.alice)
    foreign = client.get(f"/incidents/{incident.public_id}", headers=HTMX)
    missing = client.get("/incidents/999999999", headers=HTMX)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text == missing.text
    assert "CANARY" not in client.get(f"/incidents/{incident.public_id}").text
    assert sign_in(cast.charlie).get(f"/incidents/{incident.public_id}").status_code == 200


def test_t07_a_private_one_is_answered_like_a_missing_one(
    cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
) -> None:
    incident = outage_of(world.trunk, title="CANARY-private", visibility=Visibility.PRIVATE)
    for client in (visitor(A), sign_in(cast.alice), sign_in(cast.charlie)):
        hidden = client.get(f"/incidents/{incident.public_id}", headers=HTMX)
        missing = client.get("/incidents/999999999", headers=HTMX)
        assert hidden.status_code == missing.status_code
        assert hidden.status_code in {401, 404}
        assert hidden.text == missing.text


def test_a_link_from_a_mail_leads_somebody_signed_out_through_sign_in(
    cast: Cast, world: World, visitor: Visitor, outage_of: Outage
) -> None:
    incident = outage_of(world.trunk, audience=Audience.AFFECTED)
    answer = visitor(A).get(f"/incidents/{incident.public_id}")
    assert answer.status_code == 302
    assert answer.location == f"/sign-in?next=/incidents/{incident.public_id}"


def test_where_signing_in_shows_no_more_a_missing_one_is_just_missing(
    cast: Cast, world: World, visitor: Visitor
) -> None:
    domains.set_areas(cast.domain_a, [Area.PUBLIC_STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    assert visitor(A).get("/incidents/nothing").status_code == 404


def test_the_page_of_everybody_carries_nothing_of_a_session(
    cast: Cast, world: World, visitor: Visitor, outage_of: Outage
) -> None:
    answer = visitor(A).get(f"/incidents/{outage_of(world.trunk).public_id}")
    assert "csrf" not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_t16_a_session_of_another_domain_shows_what_anybody_sees(
    cast: Cast, world: World, sign_in: SignIn, app: Flask, outage_of: Outage
) -> None:
    incident = outage_of(world.trunk, audience=Audience.AFFECTED)
    cookie = sign_in(cast.alice).get_cookie("sid", domain=A)
    assert cookie is not None
    elsewhere = client_on(app, "b.portal.test")
    elsewhere.set_cookie("sid", cookie.value, domain="b.portal.test")
    assert elsewhere.get(f"/incidents/{incident.public_id}").status_code == 302
    assert "Calls fail" not in elsewhere.get("/status").text


def test_text_from_outside_is_shown_as_text(cast: Cast, world: World, visitor: Visitor, outage_of: Outage) -> None:
    incident = outage_of(
        world.trunk,
        title="<script>alert(1)</script>",
        body='<img src=x onerror=alert(1)> [click](javascript:alert(1)) <div hx-get="/sign-out">x</div>',
    )
    page = visitor(A).get(f"/incidents/{incident.public_id}").text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page
    assert '<div hx-get="/sign-out"' not in page
