"""What mails somebody, as they choose it themselves, and as a contact chooses it for the company."""

from flask.testing import FlaskClient
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.queries.hearing import ELSEWHERE, TOPIC
from portal.catalogue.rules import component_topic, service_topic
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import CompanyPreference, Preference
from portal.notifications.queries import left_lists
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.services.models import ServiceView
from portal.services.queries.hearing import TOPIC as SERVICES
from portal.services.queries.hearing import status_topic
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World

HERE = "/preferences"


def page(client: FlaskClient, path: str = HERE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def choose(client: FlaskClient, shown: list[str], was: list[str], wanted: list[str], path: str = HERE) -> int:
    data = {"shown": shown, "was": was, "wanted": wanted, "csrf_token": token_in(client, path)}
    return client.post(path, data=data).status_code


def words() -> dict[tuple[int, str], bool]:
    rows = db.session.execute(select(Preference.person_id, Preference.topic, Preference.wanted))
    return {(person_id, topic): wanted for person_id, topic, wanted in rows}


def test_the_account_leads_there(cast: Cast, world: World, sign_in: SignIn) -> None:
    assert 'href="/preferences"' in page(sign_in(cast.alice), "/account")


def test_it_lists_the_kinds_and_what_the_company_holds_and_nothing_of_others(
    cast: Cast, world: World, sign_in: SignIn
) -> None:
    text = page(sign_in(cast.alice))
    for key in (TOPIC, ELSEWHERE, service_topic(world.telephony.id), component_topic(world.trunk.id)):
        assert f'value="{key}" id="wish-{key.replace(":", "-")}" checked' in text
    assert component_topic(world.exchange.id) in text
    for key in (service_topic(world.internet.id), component_topic(world.fibre.id), component_topic(world.spare.id)):
        assert key not in text


def test_what_is_unticked_is_not_wanted_and_what_was_not_touched_says_nothing(
    cast: Cast, world: World, sign_in: SignIn
) -> None:
    service, alice = service_topic(world.telephony.id), cast.alice.id
    assert choose(sign_in(cast.alice), [TOPIC, service], [TOPIC, service], [TOPIC]) == 303
    assert words() == {(alice, service): False}
    assert "Your own choice" in page(sign_in(cast.alice))
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "preference.change")).one()
    assert (entry.object_kind, entry.object_id) == ("person", alice)
    assert (entry.before, entry.after) == ({service: None}, {service: False})


def test_t01_what_is_not_theirs_to_choose_is_left_out(cast: Cast, world: World, sign_in: SignIn) -> None:
    """A form may name anything: another company's service, a list that does not exist."""
    strange = [service_topic(world.internet.id), component_topic(world.fibre.id), "no-such-list", "x" * 300]
    assert choose(sign_in(cast.alice), strange, strange, []) == 303
    assert words() == {}


def test_what_was_chosen_elsewhere_in_the_meantime_stays(cast: Cast, world: World, sign_in: SignIn) -> None:
    service, alice = service_topic(world.telephony.id), cast.alice.id
    client = sign_in(cast.alice)
    actions.choose_for_person(cast.alice, {service: False}, by=SYSTEM, now=NOW)
    db.session.commit()
    assert choose(client, [TOPIC, service], [TOPIC, service], [service]) == 303
    assert words() == {(alice, service): False, (alice, TOPIC): False}


def test_with_status_and_services_off_there_is_nothing_to_choose_and_no_name_is_told(
    cast: Cast, world: World, sign_in: SignIn
) -> None:
    for area in (Area.STATUS, Area.SERVICES):
        domains.set_override(cast.domain_a, cast.a, area, False, by=SYSTEM, now=NOW)
    db.session.commit()
    text = page(sign_in(cast.alice))
    assert "Hosted telephony" not in text
    assert "Trunk" not in text
    assert status_topic(ServiceStatus.DOWN) not in text


def test_with_status_off_what_staff_state_of_services_can_still_be_chosen(
    cast: Cast, world: World, sign_in: SignIn
) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.alice)
    text = page(client)
    assert "Hosted telephony" in text
    assert "Trunk" not in text
    for status in ServiceStatus:
        key = status_topic(status)
        assert f'value="{key}" id="wish-{key.replace(":", "-")}" checked' in text
    normal = status_topic(ServiceStatus.NORMAL)
    assert choose(client, [SERVICES, normal], [SERVICES, normal], [SERVICES]) == 303
    assert words() == {(cast.alice.id, normal): False}


def test_a_service_that_is_hidden_from_the_company_is_not_among_them(cast: Cast, world: World, sign_in: SignIn) -> None:
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.telephony.id]))
    db.session.commit()
    assert "Hosted telephony" not in page(sign_in(cast.alice))


def test_a_company_says_no_and_its_person_yes(cast: Cast, world: World, sign_in: SignIn) -> None:
    actions.choose_for_company(cast.a, {TOPIC: False}, by=SYSTEM, now=NOW)
    db.session.commit()
    client, alice = sign_in(cast.alice), cast.alice.id
    assert "Your company’s choice" in page(client)
    assert choose(client, [TOPIC], [], [TOPIC]) == 303
    assert words() == {(alice, TOPIC): True}
    assert "Follow my company" in page(client)
    assert client.post(f"{HERE}/follow", data={"csrf_token": token_in(client, HERE)}).status_code == 303
    assert words() == {}


def test_a_list_that_was_left_is_joined_again_and_so_is_everything(cast: Cast, world: World, sign_in: SignIn) -> None:
    address = cast.alice.email
    for topic in (TOPIC, EVERY_TOPIC):
        actions.unsubscribe(address, topic, cast.alice.id, now=NOW)
    db.session.commit()
    client = sign_in(cast.alice)
    assert "You stopped every mail" in page(client)
    assert client.post(f"{HERE}/again", data={"csrf_token": token_in(client, HERE)}).status_code == 303
    assert left_lists(address) == {TOPIC}
    assert "You left this list" in page(client)
    assert choose(client, [TOPIC], [], [TOPIC]) == 303
    assert left_lists(address) == frozenset()


def test_an_address_that_takes_no_mails_is_told_so(cast: Cast, world: World, sign_in: SignIn) -> None:
    actions.suppress(cast.alice.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, detail="550 SECRET", now=NOW)
    db.session.commit()
    text = page(sign_in(cast.alice))
    assert "do not arrive at the moment" in text
    assert "SECRET" not in text


def test_only_a_contact_decides_for_the_company(cast: Cast, world: World, sign_in: SignIn) -> None:
    path, service, company_id = f"{HERE}/company", service_topic(world.telephony.id), cast.a.id
    alice = sign_in(cast.alice)
    assert path not in page(alice)
    assert alice.get(path).status_code == 403
    assert alice.post(path, data={"csrf_token": token_in(alice, HERE)}).status_code == 403
    actions.set_contact(cast.alice, cast.a, True, by=SYSTEM, now=NOW)
    db.session.commit()
    assert path in page(alice)
    assert choose(alice, [TOPIC, service], [TOPIC, service], [TOPIC], path) == 303
    rows = db.session.execute(select(CompanyPreference.company_id, CompanyPreference.topic, CompanyPreference.wanted))
    assert rows.all() == [(company_id, service, False)]
    assert "Your company’s choice" in page(sign_in(cast.bob))
    charlie = sign_in(cast.charlie)
    assert charlie.get(path).status_code == 403


def test_a20_nothing_is_chosen_without_the_form_token(cast: Cast, world: World, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    for path in (HERE, f"{HERE}/follow", f"{HERE}/again"):
        assert client.post(path, data={"shown": [TOPIC], "was": [TOPIC]}).status_code == 400
    assert words() == {}


def test_the_page_takes_a_bounded_number_of_queries(cast: Cast, world: World, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    with counted_queries() as statements:
        page(client)
    assert len(statements) <= 43


def test_who_is_told_beside_mail_sees_where_and_may_end_it(cast: Cast, sign_in: SignIn) -> None:
    hers, _secret = add_channel(
        ChannelKind.WEBHOOK, "Note of the staff", "https://hooks.example.com/in/secret", ["incidents"],
        person_id=cast.alice.id, by=SYSTEM, now=NOW,
    )  # fmt: skip
    db.session.commit()
    alice, bob = sign_in(cast.alice), sign_in(cast.bob)
    path, version = f"{HERE}/channels/{hers.id}/stop", hers.version
    text = page(alice)
    assert "https://hooks.example.com/…" in text
    assert "Note of the staff" not in text
    assert path not in page(bob)
    token = token_in(bob, HERE)
    assert bob.post(path, data={"csrf_token": token, "version": version}).status_code == 404
    token = token_in(alice, HERE)
    assert alice.post(path, data={"csrf_token": token}).status_code == 422
    assert alice.post(path, data={"csrf_token": token, "version": version + 1}).status_code == 409
    assert alice.post(path, data={"csrf_token": token, "version": version}).status_code == 303
    assert path not in page(alice)
    told = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "channel.remove")).one()
    assert told.actor_id == cast.alice.id
