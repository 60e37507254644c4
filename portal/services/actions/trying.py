"""Trying a mail out: it goes to the member of staff who asks, and to nobody else."""

from dataclasses import replace
from datetime import datetime, timedelta

from portal.accounts.models import Person
from portal.accounts.rules import text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.notices.queries import tests_since
from portal.catalogue.notices.rules import TEST_PREFIX, TESTS_PER_HOUR
from portal.errors import RuleViolation
from portal.notifications import actions as notifications
from portal.notifications.models import Broadcast
from portal.notifications.templates.queries import own_words, template_for
from portal.notifications.templates.rules import template_named
from portal.services.letters import wording_of
from portal.services.mails import TEST
from portal.services.queries.hearing import TOPIC
from portal.services.specimen import specimen_of


def send_test(
    name: str, language: str, domain_id: int | None, person: Person, *, by: Actor, now: datetime
) -> Broadcast:
    """Send the mail in the words that stand, as a real reader's company would get it, to whoever asks.

    RuleViolation when they have asked too often within the hour, or when nothing reaches their address.
    """
    if tests_since(person.id, now - timedelta(hours=1), TEST) >= TESTS_PER_HOUR:
        raise RuleViolation(f"You have sent yourself {TESTS_PER_HOUR} tests within the hour. Try again a little later.")
    if why := notifications.why_suppressed(text_key(person.email), person.id, TOPIC, now):
        raise RuleViolation(f"Nothing of this list is mailed to {person.email}: {why}")
    specimen = specimen_of(name, domain_id, now)
    wording, _inner = wording_of(
        replace(specimen.facts, entry=None), template_for(name, language, domain_id), language, domain_id
    )
    broadcast = notifications.queue_broadcast(
        TEST,
        idempotency_key=f"{TEST}:{name}:{person.id}:{now.isoformat()}",
        title=f"Test: {template_named(name).label}",
        selector={
            "person_id": person.id,
            "company_ids": list(specimen.reader.company_ids[:1]),
            "address": person.email,
            "name": person.name,
            "language": language,
            "values": dict(specimen.reader.values),
        },
        content={language: {**wording, "subject": TEST_PREFIX + wording["subject"]}},
        thread_key=f"{TEST}:{name}:{person.id}",
        by_person_id=person.id,
        now=now,
    )
    standing = own_words(name).by_place.get((language, domain_id))
    audit.record(
        "mail_template.test",
        object_kind="mail_template",
        object_id=None,
        by=by,
        now=now,
        after={"name": name, "language": language, "domain_id": domain_id, "is_own": standing is not None},
    )
    return broadcast
