"""Changes of channels by hand. Addresses and secrets are sealed here and told to nobody again."""

import secrets as random
from collections.abc import Collection
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from portal import events, sealing
from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import known
from portal.notifications.channels import lane
from portal.notifications.channels.choosing import chosen_topics
from portal.notifications.channels.gateway import check_address
from portal.notifications.channels.rules import (
    LABEL_LENGTH,
    OLD_SECRET_LIVES,
    SECRET_BYTES,
    AddressError,
    ChannelKind,
    ChannelState,
    Outcome,
    masked,
    secret_text,
)
from portal.notifications.channels.sealed import ADDRESS, SECRET, fingerprint
from portal.notifications.models import IS_SOMEBODYS, ContactChannel


def add_channel(
    kind: ChannelKind,
    label: str,
    address: str,
    topics: Collection[str],
    *,
    company_id: int | None = None,
    person_id: int | None = None,
    language: str = "en",
    by: Actor,
    now: datetime,
) -> tuple[ContactChannel, str | None]:
    """A new channel of a company, a person or, with neither, the staff; and the secret a webhook is signed with.

    The secret is returned here and never again. RuleViolation where nothing could ever be sent to the address, or where
    there is nobody who would be told.
    """
    _check_owner(company_id, person_id)
    channel = ContactChannel(
        kind=kind,
        company_id=company_id,
        person_id=person_id,
        language=known(language),
        created_at=now,
        created_by_id=by.person_id,
        topics=chosen_topics(topics, company_id=company_id, person_id=person_id, now=now),
        state=ChannelState.WORKING,
        failures=0,
    )
    channel.label = _label(label)
    _aim(channel, address)
    secret = None
    if kind is ChannelKind.WEBHOOK:
        secret = secret_text(random.token_bytes(SECRET_BYTES))
        channel.secret = sealing.seal(secret, SECRET)
    db.session.add(channel)
    db.session.flush()
    _changed(channel, "channel.add", by=by, now=now, before={}, after=_told(channel))
    return channel, secret


def change_channel(
    channel: ContactChannel,
    label: str,
    topics: Collection[str],
    *,
    address: str | None = None,
    language: str = "en",
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what a channel is called, hears and, where an `address` is given, where it leads.

    A new address begins without the failures of the old one. Raises StaleEdit when somebody else changed it meanwhile.
    """
    if channel.version != version:
        raise StaleEdit
    before = _told(channel)
    channel.label = _label(label)
    channel.language = known(language)
    channel.topics = chosen_topics(
        topics, company_id=channel.company_id, person_id=channel.person_id, now=now, kept=channel.topics
    )
    if address:
        _aim(channel, address)
        _begin_anew(channel)
    db.session.flush()
    _changed(channel, "channel.edit", by=by, now=now, before=before, after=_told(channel))
    events.wake("deliver_channels")


def remove_channel(channel: ContactChannel, *, version: int, by: Actor, now: datetime) -> int:
    """Forget a channel; what waits for it is called off. Returns how many messages that were."""
    if channel.version != version:
        raise StaleEdit
    count = lane.close_of_removed(channel.id, now)
    _changed(channel, "channel.remove", by=by, now=now, before=_told(channel), after={})
    db.session.delete(channel)
    db.session.flush()
    return count


def renew_secret(channel: ContactChannel, *, version: int, by: Actor, now: datetime) -> str:
    """A new secret for a webhook, returned once; the one before signs beside it for a week, so that nothing is lost."""
    if channel.version != version:
        raise StaleEdit
    if channel.kind is not ChannelKind.WEBHOOK:
        raise RuleViolation("Only webhooks are signed.")
    secret = secret_text(random.token_bytes(SECRET_BYTES))
    channel.old_secret, channel.old_secret_until = channel.secret, now + OLD_SECRET_LIVES
    channel.secret = sealing.seal(secret, SECRET)
    db.session.flush()
    until = channel.old_secret_until.isoformat()
    after = {"name": channel.label, "old_signs_until": until}
    _changed(channel, "channel.secret", by=by, now=now, before={}, after=after)
    return secret


def end_old_secret(channel: ContactChannel, *, version: int, by: Actor, now: datetime) -> None:
    """Sign with the newest secret alone from now on."""
    if channel.version != version:
        raise StaleEdit
    if channel.old_secret is None:
        raise RuleViolation("There is no older secret any more.")
    channel.old_secret, channel.old_secret_until = None, None
    db.session.flush()
    after = {"name": channel.label, "old_signs_until": "ended"}
    _changed(channel, "channel.secret", by=by, now=now, before={}, after=after)


def note_test(channel: ContactChannel, outcome: Outcome, *, by: Actor, now: datetime) -> None:
    """Store what a test came to. One that arrived shows that the channel works, whatever was before."""
    before = channel.state
    if outcome.failure is None:
        _begin_anew(channel)
        channel.last_sent_at = now
        events.wake("deliver_channels")
    channel.code = outcome.code
    db.session.flush()
    _changed(
        channel,
        "channel.test",
        by=by,
        now=now,
        before={"state": before},
        after={"name": channel.label, "state": channel.state, "answer": outcome.code or "none"},
    )


def _check_owner(company_id: int | None, person_id: int | None) -> None:
    """Refuse a channel of somebody who is told nothing."""
    if company_id is not None:
        company = db.session.get(Company, company_id)
        if company is None:
            raise RuleViolation(f"There is no company {company_id}.", "company")
        if company.archived_at is not None:
            raise RuleViolation(f"{company.name} is archived, so it is told nothing any more.", "company")
    elif person_id is not None:
        person = db.session.get(Person, person_id)
        if person is None:
            raise RuleViolation(f"There is no person {person_id}.", "person")
        if person.deactivated_at is not None:
            raise RuleViolation(f"{person.name} is deactivated, so they are told nothing any more.", "person")
        acts = select(Membership.id).join(Company, Company.id == Membership.company_id)
        acts = acts.where(Membership.person_id == person_id, Company.archived_at.is_(None)).limit(1)
        if db.session.scalar(acts) is None:
            raise RuleViolation(f"{person.name} acts for no company, so there is nothing to tell them of.", "person")


def _aim(channel: ContactChannel, typed: str) -> None:
    settings: Settings = current_app.config["SETTINGS"]
    try:
        address = check_address(channel.kind, typed, settings)
    except AddressError as refusal:
        raise RuleViolation(str(refusal), "address") from None
    mark = fingerprint(channel.kind, address)
    twin = db.session.scalar(
        select(ContactChannel.label).where(
            ContactChannel.fingerprint == mark,
            ContactChannel.company_id == channel.company_id,
            ContactChannel.person_id == channel.person_id,
            IS_SOMEBODYS,
            ContactChannel.id != (channel.id or 0),
        )
    )
    if twin is not None:
        raise RuleViolation(f"This address is there already, as {twin}.", "address")
    channel.address, channel.hint, channel.fingerprint = (
        sealing.seal(address, ADDRESS),
        masked(channel.kind, address),
        mark,
    )


def _begin_anew(channel: ContactChannel) -> None:
    channel.state, channel.failures, channel.failing_since = ChannelState.WORKING, 0, None
    channel.rests_until, channel.reason = None, None


def _label(typed: str) -> str:
    label = one_line(typed)
    if not 0 < len(label) <= LABEL_LENGTH:
        raise RuleViolation(f"Give it a name of at most {LABEL_LENGTH} characters.", "label")
    return label


def _told(channel: ContactChannel) -> dict[str, Any]:
    """What the audit trail keeps of it: the mask of the address, never more."""
    return {
        "name": channel.label,
        "kind": channel.kind,
        "address": channel.hint,
        "topics": list(channel.topics),
        "company_id": channel.company_id,
        "person_id": channel.person_id,
    }


def _changed(
    channel: ContactChannel, action: str, *, by: Actor, now: datetime, before: dict[str, Any], after: dict[str, Any]
) -> None:
    events.ring(events.STAFF)
    audit.record(
        action,
        object_kind="channel",
        object_id=channel.id,
        by=by,
        now=now,
        company_id=channel.company_id,
        before=before,
        after=after,
    )
