"""Following one incident without a login: what is heard and what never, merging, leaving, and its end."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.domains.models import PortalDomain
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.actions import clockwork
from portal.incidents.actions.conversations import due_ends, end_following
from portal.incidents.actions.telling import narrow_mail
from portal.incidents.models import Incident
from portal.incidents.queries import notify_key
from portal.incidents.queries.conversations import followable, followable_by_id, followed_incidents
from portal.incidents.queries.postmortems import postmortem_for_staff
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.incidents.rules.conversations import AFTER_FIXED, AFTER_POSTMORTEM, ends_at, incident_of, thread_key
from portal.notifications import actions as outbox
from portal.notifications.links import read_unsubscribe_token
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.rules import EVERY_TOPIC, DeliveryState, SuppressionReason
from portal.notifications.subscribers import actions, following, hearing, letters
from portal.notifications.subscribers.models import Subscriber, SubscriberFollowing
from portal.notifications.subscribers.rules import FOLLOWED_AT_MOST, Conversation, SubscriberState
from tests.conftest import NOW, Cast, counted_queries
from tests.notifications.subscribers.test_subscribers import components, domain, letters_of, report, subscribe

__all__ = ["components", "domain"]

STRANGER = Actor("anonymous")
RITA = "rita@reader.test"
DAY = timedelta(days=1)


def published(key: str = "one", **more: Any) -> Incident:
    """An incident everybody may see, and that hits nobody's part."""
    report(None, key, title=f"Calls fail {key}", **more)
    return db.session.scalars(select(Incident).order_by(Incident.id.desc()).limit(1)).one()


def follow(domain: PortalDomain, incident: Incident, address: str = RITA, **more: Any) -> Subscriber:
    """Somebody who asked to hear of this one and confirmed it."""
    about = Conversation(thread_key(incident.id), "incidents")
    given: dict[str, Any] = {"language": "en", "by": STRANGER, "now": NOW} | more
    actions.sign_up_to_follow(domain.id, address, about, incident.title, **given)
    found = db.session.scalars(select(Subscriber).where(Subscriber.address == address)).one()
    actions.confirm_following(found, about, by=STRANGER, now=NOW)
    return found


def post(
    incident: Incident, state: State | None = State.IDENTIFIED, at: datetime = NOW, **more: Any
) -> dict[str, Delivery]:
    """An update, and what was written down about it for subscribers."""
    given: dict[str, Any] = {"body": "More.", "named": {}, "notify": True, "by": SYSTEM, "author_id": None} | more
    update = incidents.post_update(incident, state, version=incident.version, now=at, **given)
    db.session.flush()
    rows = (
        select(Delivery)
        .where(Delivery.subscriber_id.is_not(None), Delivery.channel == "mail")
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.idempotency_key == notify_key(update.id))
    )
    return {each.address: each for each in db.session.scalars(rows)}


def followed() -> set[tuple[int, str]]:
    rows = db.session.execute(select(SubscriberFollowing.subscriber_id, SubscriberFollowing.conversation))
    return {(row.subscriber_id, row.conversation) for row in rows}


@pytest.mark.parametrize(
    ("fixed", "postmortem", "expected"),
    [
        (None, None, None),
        (None, NOW, None),
        (NOW, None, NOW + AFTER_FIXED),
        (NOW, NOW + DAY, NOW + DAY + AFTER_POSTMORTEM),
        (NOW + DAY, NOW, NOW + DAY + AFTER_POSTMORTEM),
        (NOW, NOW + 13 * DAY, NOW + 13 * DAY + AFTER_POSTMORTEM),
    ],
)
def test_when_it_ends(fixed: datetime | None, postmortem: datetime | None, expected: datetime | None) -> None:
    assert ends_at(fixed, postmortem) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [("incident:12", 12), ("incident:", None), ("incident:x", None), ("incident:²", None), ("maintenance:12", None)],
)
def test_which_incident_a_conversation_is_about(key: str, expected: int | None) -> None:
    assert incident_of(key) == expected


def test_whoever_follows_one_hears_of_that_alone(domain: PortalDomain) -> None:
    one, other = published("one"), published("two")
    rita = follow(domain, one)
    assert (rita.state, rita.topics) == (SubscriberState.ACTIVE, [])
    assert post(other) == {}
    mail = post(one)[RITA]
    assert "That ends by itself 14 days after it is fixed." in mail.values["following"]
    token = mail.values["unsubscribe_url"].rpartition("/")[2]
    link = read_unsubscribe_token(token)
    assert link is not None
    assert link.topic == thread_key(one.id)
    assert hearing.count_hearing("incidents", ["component:1"], thread_key(one.id)) == 1
    assert hearing.count_hearing("incidents", ["component:1"], thread_key(other.id)) == 0


def test_nothing_is_noted_before_the_letter_was_answered(domain: PortalDomain) -> None:
    one = published()
    about = Conversation(thread_key(one.id), "incidents")
    actions.sign_up_to_follow(domain.id, RITA, about, one.title, language="de", by=STRANGER, now=NOW)
    assert followed() == set()
    assert post(one) == {}
    [letter] = letters_of(RITA)
    assert letter.wording == "de"
    values = letters.late_values({**letter.values, "address": letter.address}, NOW)
    assert values["link_url"].startswith(f"{domain.base_url}/subscribe/confirm/")


def test_the_letter_says_which_in_both_languages(domain: PortalDomain) -> None:
    one = published()
    for language, said in (("en", "what becomes of “Calls fail one”"), ("de", "was aus „Calls fail one“ wird")):
        about = Conversation(thread_key(one.id), "incidents")
        address = f"{language}@reader.test"
        actions.sign_up_to_follow(domain.id, address, about, one.title, language=language, by=STRANGER, now=NOW)
        [letter] = letters_of(address)
        content = db.session.get_one(Broadcast, letter.broadcast_id).content[language]
        assert said in " ".join(content["text"].split())


def test_it_confirms_nothing_else_that_somebody_asked_for_with_the_address(domain: PortalDomain) -> None:
    """A stranger signs the address up for everything; its owner wants one incident, and gets no more."""
    one, other = published("one"), published("two")
    actions.sign_up(domain.id, RITA, ["incidents", "maintenance"], language="en", by=STRANGER, now=NOW)
    rita = follow(domain, one)
    assert rita.topics == []
    assert post(other) == {}
    assert set(post(one)) == {RITA}


def test_whoever_is_subscribed_stays_so_and_hears_of_each_once(domain: PortalDomain, components: list[Any]) -> None:
    one = published()
    rita = subscribe(domain, RITA, "incidents", f"component:{components[0].id}")
    follow(domain, one)
    assert rita.topics == ["incidents", f"component:{components[0].id}"]
    mail = post(one)[RITA]
    # It touches no part, so it concerns everything: they hear of it as of all others, and leave the list.
    assert mail.values["following"] == ""
    named = post(one, named={components[1].id: Severity.MAJOR_OUTAGE}, at=NOW + timedelta(minutes=1))
    assert "this incident alone" in named[RITA].values["following"]


def test_confirming_twice_and_following_twice_is_once(domain: PortalDomain) -> None:
    one = published()
    follow(domain, one)
    rita = follow(domain, one, now=NOW + timedelta(minutes=5))
    assert followed() == {(rita.id, thread_key(one.id))}
    assert len(post(one)) == 1
    noted = select(AuditEntry.id).where(AuditEntry.action == "subscriber.follow")
    assert len(db.session.scalars(noted).all()) == 1


def test_more_than_can_be_followed_is_refused(domain: PortalDomain) -> None:
    one = published()
    rita = follow(domain, one)
    for number in range(1, FOLLOWED_AT_MOST):
        following.begin(rita, Conversation(f"incident:{one.id + 1000 + number}", "incidents"), NOW)
    with pytest.raises(RuleViolation):
        actions.confirm_following(rita, Conversation("incident:99999", "incidents"), by=STRANGER, now=NOW)


def test_what_is_not_for_everybody_is_never_told(domain: PortalDomain, cast: Cast) -> None:
    one = published()
    follow(domain, one)
    assert post(one, None, body="Between us.", visibility=Visibility.PRIVATE) == {}
    assert post(one, mail_affected_only=True, at=NOW + timedelta(minutes=1)) == {}
    domain.areas = []
    db.session.flush()
    assert post(one, at=NOW + timedelta(minutes=2)) == {}


def test_one_that_is_only_for_some_by_now_is_called_off(domain: PortalDomain) -> None:
    one = published()
    follow(domain, one)
    waiting = post(one)[RITA]
    assert waiting.state is DeliveryState.PENDING
    narrow_mail(one.id, by=SYSTEM, now=NOW)
    assert db.session.scalar(select(Delivery.state).where(Delivery.id == waiting.id)) is DeliveryState.CANCELLED


@pytest.mark.parametrize(
    "hidden", [{"visibility": Visibility.PRIVATE}, {"audience": Audience.AFFECTED}], ids=["private", "affected"]
)
def test_what_not_everybody_may_see_cannot_be_followed(domain: PortalDomain, hidden: dict[str, Any]) -> None:
    one = published("hidden", **hidden)
    assert followable(one.public_id, NOW) is None
    assert followable_by_id(one.id, NOW) is None
    assert followed_incidents([thread_key(one.id)], NOW) == {}
    for wrong in ("", "nothing", "x" * 500, "a\x00b"):
        assert followable(wrong, NOW) is None


def test_a_merged_one_carries_over_to_the_one_that_stays(domain: PortalDomain) -> None:
    one, other = published("one"), published("two")
    rita, both = follow(domain, one), follow(domain, one, "both@reader.test")
    follow(domain, other, "both@reader.test")
    merging: dict[str, Any] = {"notify": False, "version": one.version, "by": SYSTEM, "author_id": None, "now": NOW}
    incidents.merge(one, other, "The same trouble.", **merging)
    key = thread_key(other.id)
    assert followed() == {(rita.id, key), (both.id, key)}
    found = followable(one.public_id, NOW)
    assert found is not None
    assert found.id == other.id
    assert followable_by_id(one.id, NOW) == found
    assert set(post(other)) == {RITA, "both@reader.test"}


def test_leaving_the_one_forgets_whoever_hears_of_nothing_else(domain: PortalDomain) -> None:
    one, other = published("one"), published("two")
    rita = follow(domain, one)
    follow(domain, other)
    waiting = post(one)[RITA]
    assert actions.leave(rita, thread_key(one.id), by=STRANGER, now=NOW)
    assert hearing.stopped_among([waiting.id]) == {waiting.id}
    assert not hearing.is_told(rita.id, "incidents", thread_key(one.id))
    assert hearing.is_told(rita.id, "incidents", thread_key(other.id))
    assert not actions.leave(rita, "incidents", by=STRANGER, now=NOW), "the list takes what is followed of it along"
    assert (followed(), db.session.scalars(select(Subscriber)).all()) == (set(), [])
    db.session.refresh(waiting)
    assert RITA not in waiting.address


def test_leaving_the_list_leaves_nothing_that_only_narrowed_it(domain: PortalDomain, components: list[Any]) -> None:
    one = published()
    rita = subscribe(domain, RITA, "incidents", f"component:{components[0].id}")
    following.begin(rita, Conversation("maintenance:7", "maintenance"), NOW)
    follow(domain, one)
    assert actions.leave(rita, "incidents", by=STRANGER, now=NOW)
    assert rita.topics == []
    assert followed() == {(rita.id, "maintenance:7")}


def test_it_ends_by_itself_after_it_was_fixed(domain: PortalDomain, components: list[Any]) -> None:
    one, other = published("one"), published("two")
    rita = follow(domain, one)
    rita_id = rita.id
    stays = subscribe(domain, "stays@reader.test", "incidents", f"component:{components[0].id}")
    stays_id = stays.id
    follow(domain, one, "stays@reader.test")
    follow(domain, other, "other@reader.test")
    mail = post(one, State.FIXED)[RITA]
    assert "until then we tell you if it comes back" in mail.values["following"]
    late = NOW + AFTER_FIXED
    assert due_ends(late - timedelta(seconds=1)) == []
    assert not end_following(one.id, late - timedelta(seconds=1))
    assert (end_following, one.id) in clockwork.due(late)
    assert clockwork.is_anything_due(late)
    assert end_following(one.id, late)
    assert not end_following(one.id, late)
    assert due_ends(late) == []
    assert {key for _id, key in followed()} == {thread_key(other.id)}
    db.session.expire_all()
    assert db.session.get(Subscriber, rita_id) is None
    assert db.session.get_one(Subscriber, stays_id).topics == ["incidents", f"component:{components[0].id}"]
    assert followable(one.public_id, late) is None


def test_it_goes_on_while_it_is_open_again(domain: PortalDomain) -> None:
    one = published()
    follow(domain, one)
    post(one, State.FIXED)
    post(one, State.INVESTIGATING, at=NOW + DAY)
    assert due_ends(NOW + 30 * DAY) == []
    assert set(post(one, State.IDENTIFIED, at=NOW + 30 * DAY)) == {RITA}


def test_the_postmortem_is_the_last_that_is_told(domain: PortalDomain) -> None:
    one = published()
    follow(domain, one)
    post(one, State.FIXED)
    incidents.write_postmortem(one, "A fuse.", version=0, by=SYSTEM, author_id=None, now=NOW + DAY)
    written = postmortem_for_staff(one.id)
    assert written is not None
    incidents.publish_postmortem(one, written, notify=True, version=written.version, by=SYSTEM, now=NOW + DAY)
    last = db.session.scalars(
        select(Delivery).where(Delivery.subscriber_id.is_not(None)).order_by(Delivery.id.desc()).limit(1)
    ).one()
    assert "This was the last of it" in last.values["following"]
    assert due_ends(NOW + DAY + AFTER_POSTMORTEM - timedelta(seconds=1)) == []
    assert due_ends(NOW + DAY + AFTER_POSTMORTEM) == [one.id]


def test_what_is_followed_of_a_report_that_is_gone_ends(domain: PortalDomain) -> None:
    one = published()
    rita = follow(domain, one)
    following.begin(rita, Conversation("incident:99999", "incidents"), NOW)
    assert due_ends(NOW) == [99999]


def test_what_is_due_is_found_by_the_number_of_incidents_and_not_of_subscribers(domain: PortalDomain) -> None:
    one = published()
    for number in range(30):
        follow(domain, one, f"reader{number}@reader.test")
    db.session.flush()
    with counted_queries() as queries:
        assert due_ends(NOW) == []
    assert len(queries) == 2
    assert following.conversations_followed() == [thread_key(one.id)]


def test_whoever_signs_in_and_left_the_list_is_not_put_back_on_it(domain: PortalDomain, cast: Cast) -> None:
    one = published()
    outbox.unsubscribe(cast.alice.email, "incidents", cast.alice.id, now=NOW)
    outbox.suppress(RITA, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    follow(domain, one, cast.alice.email)
    follow(domain, one)
    left = {(each.address_key, each.scope) for each in db.session.scalars(select(Suppression))}
    assert left == {(cast.alice.email_key, "incidents")}


def test_staff_and_machines_add_who_follows_and_it_is_changed_with_the_rest(domain: PortalDomain) -> None:
    one = published()
    about = Conversation(thread_key(one.id), "incidents")
    given: dict[str, Any] = {"language": "en", "is_shared": False, "consent": "phone", "by": SYSTEM, "now": NOW}
    added = actions.add(domain.id, RITA, [], followed=[about], **given)
    assert set(post(one)) == {RITA}
    same: dict[str, Any] = {"language": "de", "by": SYSTEM, "now": NOW}
    with pytest.raises(RuleViolation):
        actions.choose(added, [], followed=[], version=added.version, **same)
    actions.choose(added, [], version=added.version, **same)
    assert followed() == {(added.id, about.key)}
    seen = added.version
    actions.choose(added, ["incidents"], followed=[about], version=seen, **same)
    actions.choose(added, ["incidents"], followed=[], version=added.version, **same)
    with pytest.raises(StaleEdit):
        actions.choose(added, ["incidents"], followed=[about], version=added.version - 1, **same)
    assert (followed(), added.topics) == (set(), ["incidents"])
