"""What people and companies are mailed about, as staff see and change it, and whom nobody can be told at."""

from flask.testing import FlaskClient
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.accounts.models import Membership
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.queries.hearing import TOPIC
from portal.catalogue.rules import service_topic
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.models import CompanyPreference, Preference
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from tests.conftest import NOW, Cast, SignIn, token_in
from tests.incidents.conftest import World, world  # noqa: F401 (fixtures are found by name)

HERE = "/admin/preferences"


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def post(client: FlaskClient, path: str, **data: str | list[str]) -> int:
    return client.post(path, data={**data, "csrf_token": token_in(client, "/admin/companies")}).status_code


def test_staff_choose_for_a_person_and_it_is_audited(cast: Cast, world: World, sign_in: SignIn) -> None:  # noqa: F811
    client, alice, service = sign_in(cast.ada), cast.alice.id, service_topic(world.telephony.id)
    path = f"{HERE}/people/{alice}"
    assert "Hosted telephony" in page(client, path)
    assert post(client, path, shown=[TOPIC, service], was=[TOPIC, service], wanted=[TOPIC]) == 303
    row = db.session.scalars(select(Preference)).one()
    assert (row.person_id, row.topic, row.wanted) == (alice, service, False)
    assert "Does not want mails about Hosted telephony." in page(client, f"/admin/people/{alice}")
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "preference.change")).one()
    assert (entry.actor, entry.object_id) == ("ada@people.test", alice)
    assert "changed what mails" in page(sign_in(cast.root), "/admin/audit")
    assert post(client, f"{path}/follow") == 303
    assert db.session.scalar(select(Preference.id)) is None


def test_staff_cannot_bring_back_who_has_left_a_list(cast: Cast, world: World, sign_in: SignIn) -> None:  # noqa: F811
    actions.unsubscribe(cast.alice.email, TOPIC, cast.alice.id, now=NOW)
    db.session.commit()
    client, path = sign_in(cast.ada), f"{HERE}/people/{cast.alice.id}"
    assert "only they can come back" in page(client, path)
    email = cast.alice.email
    assert post(client, path, shown=[TOPIC], wanted=[TOPIC]) == 303
    assert actions.why_suppressed(email, None, TOPIC, NOW)


def test_staff_choose_for_a_company_and_name_its_contact(cast: Cast, world: World, sign_in: SignIn) -> None:  # noqa: F811
    client, company, service = sign_in(cast.ada), cast.a.id, service_topic(world.telephony.id)
    base, alice, charlie = f"{HERE}/companies/{company}", cast.alice.id, cast.charlie.id
    assert post(client, base, shown=[service], was=[service]) == 303
    assert db.session.scalars(select(CompanyPreference.topic)).all() == [service]
    assert "Not about Hosted telephony." in page(client, f"/admin/companies/{company}")
    assert post(client, f"{base}/contacts/{alice}", is_contact="yes") == 303
    contacts = select(Membership.person_id).where(Membership.is_contact)
    assert db.session.scalars(contacts).all() == [alice]
    assert post(client, f"{base}/contacts/{alice}", is_contact="perhaps") == 422
    assert post(client, f"{base}/contacts/{charlie}", is_contact="yes") == 404
    assert post(client, f"{base}/contacts/{alice}", is_contact="no") == 303
    assert db.session.scalars(contacts).all() == []


def test_the_office_may_not_choose_for_others(cast: Cast, world: World, sign_in: SignIn) -> None:  # noqa: F811
    client = sign_in(cast.olaf)
    for path in (f"{HERE}/people/{cast.alice.id}", f"{HERE}/companies/{cast.a.id}"):
        assert client.get(path).status_code == 403
    assert "Make contact" not in page(client, f"/admin/companies/{cast.a.id}")


def test_an_archived_company_has_nothing_to_choose(cast: Cast, sign_in: SignIn) -> None:
    closed = accounts.add_company("Closed", by=SYSTEM, now=NOW)
    accounts.archive_company(closed, version=closed.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert sign_in(cast.ada).get(f"{HERE}/companies/{closed.id}").status_code == 404


def test_a_company_nobody_can_be_reached_at_stands_in_red_with_the_reason(
    cast: Cast,
    world: World,  # noqa: F811
    sign_in: SignIn,
) -> None:
    client, path = sign_in(cast.ada), f"/admin/companies/{cast.b.id}"
    assert "Nobody can be reached" not in page(client, path)
    assert "Every company can be reached" in page(client, "/admin/companies?show=unreached")
    actions.suppress(cast.charlie.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    db.session.commit()
    text = page(client, path)
    assert "Nobody can be reached" in text
    assert "Address bounced" in text
    listed = page(client, "/admin/companies?show=unreached")
    assert "Birch Logistics" in listed
    assert "Alder Dental" not in listed


def test_the_preview_of_an_incident_says_who_chose_and_who_cannot(
    cast: Cast,
    world: World,  # noqa: F811
    sign_in: SignIn,
) -> None:
    actions.choose_for_person(cast.alice, {service_topic(world.telephony.id): False}, by=SYSTEM, now=NOW)
    actions.suppress(cast.bob.email, EVERY_TOPIC, SuppressionReason.QUARANTINED, now=NOW)
    db.session.commit()
    client, data = (
        sign_in(cast.ada),
        {
            "title": "Calls drop",
            "body": "We look into it.",
            "state": "investigating",
            "audience": "affected",
            "visibility": "public",
            "notify": "y",
            "components": str(world.trunk.id),
            f"components-{world.trunk.id}": "major_outage",
        },
    )
    answer = client.post(
        "/admin/incidents/preview", data={**data, "csrf_token": token_in(client, "/admin/incidents/new")}
    )
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    text = text.replace("<strong>", "").replace("</strong>", "")
    assert "1 person cannot be reached by mail, 1 person chose not to hear of it" in text
    assert "mails failed again and again" in text
    assert "1 company has nobody who can be reached" in text


def test_the_overview_says_at_how_many_companies_nobody_can_be_reached(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "Nobody can be reached" not in page(client, "/admin/")
    actions.suppress(cast.charlie.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    db.session.commit()
    text = page(client, "/admin/")
    assert "Nobody can be reached" in text
    assert ">1 company</a>" in text
