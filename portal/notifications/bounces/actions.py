"""What follows from a report that came back. Everything here works in the caller's transaction.

Anybody can send a report to anybody. So one changes something only where it names a mail by a token that nobody can
guess, and speaks of the address that mail went to: who knows that has the mail, and in it the link to leave.
"""

import hashlib
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

from flask import current_app
from sqlalchemy import select

from portal import events
from portal.accounts.rules import text_key
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.notifications import actions, endings, marks
from portal.notifications.bounces import doors, rules, unusual
from portal.notifications.bounces.models import BounceReport
from portal.notifications.bounces.rules import CameBy, Names, Outcome, Reading, Said
from portal.notifications.compose import ComposeError, envelope_address
from portal.notifications.leases import note_attempt
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import EVERY_TOPIC, DeliveryState, Failure, SuppressionReason, SuppressionSource

_CAN_FAIL = (DeliveryState.SENT, DeliveryState.UNKNOWN, DeliveryState.PENDING)
"""States a report ends."""


class InHandError(Exception):
    """The mail is in the hands of a sending process, whose answer comes first: offer the report again in a while."""


def take(raw: bytes, came_by: CameBy, *, now: datetime) -> Outcome:
    """Read a report and do what follows; the same one again changes nothing and is told the same.

    Raises InHandError while the mail it is about is being sent: a report can overtake the result of its own mail.
    """
    settings: Settings = current_app.config["SETTINGS"]
    try:
        made = doors.take(raw, settings.bounce_address, now)
    except rules.BrokenReport as why:
        return note_broken(raw, came_by, str(why), now=now)
    if made is not None:
        return _note(raw, came_by, Reading(Outcome.HANDED_ON, "", words=made), now)
    return _take_report(raw, came_by, Names(settings.mail_domain, settings.bounce_address), now)


def _take_report(raw: bytes, came_by: CameBy, names: Names, now: datetime) -> Outcome:
    try:
        reading = rules.read(raw, names)
        if reading.outcome is Outcome.UNCLEAR and (said := unusual.recognised(raw, reading.text)):
            reading = rules.with_said(reading, said)
    except rules.BrokenReport as why:
        return note_broken(raw, came_by, str(why), now=now)
    if reading.is_own_mail:
        return _note(raw, came_by, rules.ended(reading, Outcome.AUTOMATIC, "One of our own mails."), now)
    if reading.outcome is Outcome.AUTOMATIC:
        # Who is away, and until when, is nothing to keep.
        return _note(raw, came_by, Reading(Outcome.AUTOMATIC, ""), now)
    if reading.outcome is Outcome.UNCLEAR:
        return _note(raw, came_by, reading, now)
    delivery = _delivery_named(reading.message_ids)
    if delivery is None:
        return _note(raw, came_by, rules.ended(reading, Outcome.NOT_OURS), now)
    if marks.is_in_hand(delivery.id):
        raise InHandError
    return _about(delivery, reading, raw, came_by, now)


def note_broken(raw: bytes, came_by: CameBy, why: str, *, now: datetime) -> Outcome:
    """Write down that a report could not be read, so that somebody can look and it holds up no other."""
    return _note(raw, came_by, Reading(Outcome.BROKEN, "", words=rules.one_line(why)[:300]), now)


def _note(raw: bytes, came_by: CameBy, reading: Reading, now: datetime) -> Outcome:
    """Keep a report from which nothing follows."""
    outcome = cast(Outcome, reading.outcome)
    _keep(_digest(raw), came_by, outcome, reading, now)
    return outcome


def _keep(digest: str, came_by: CameBy, outcome: Outcome, reading: Reading, now: datetime, **about: object) -> bool:
    """Write a report down; whether it is new."""
    return actions.insert_new(
        BounceReport,
        digest=digest,
        came_by=came_by,
        outcome=outcome,
        subject=reading.subject[:200],
        received_at=now,
        **{"words": reading.words[:500], "delivery_id": None, "address_key": None, "enhanced_code": None, **about},
    )


def _digest(*parts: object) -> str:
    whole = b"|".join(part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return hashlib.sha256(whole).hexdigest()


def _delivery_named(message_ids: tuple[str, ...]) -> Delivery | None:
    """The mail a report is about: the first of those it names that we have sent, its row locked."""
    if not message_ids:
        return None
    rows = db.session.scalars(
        select(Delivery)
        .where(Delivery.message_id.in_(message_ids), Delivery.channel == "mail")
        .with_for_update(of=Delivery)
    )
    found = {delivery.message_id: delivery for delivery in rows}
    return next((found[each] for each in message_ids if each in found), None)


def _about(delivery: Delivery, reading: Reading, raw: bytes, came_by: CameBy, now: datetime) -> Outcome:
    said = _of_address(delivery, reading)
    if said is None and (reading.said or not reading.is_complaint):
        others = ", ".join(sorted(address for each in reading.said for address in each.addresses))
        other = rules.ended(reading, Outcome.OTHER_ADDRESS, f"About {others}." if others else "Names no address.")
        _keep(_digest(raw), came_by, Outcome.OTHER_ADDRESS, other, now, delivery_id=delivery.id)
        return Outcome.OTHER_ADDRESS
    if reading.is_complaint:
        outcome, failure = Outcome.COMPLAINT, None
    else:
        outcome, failure = rules.follows(cast(Said, said))
    code = rules.precise_status(said) if said and not reading.is_complaint else ""
    words = (said.words if said else "") or reading.words or "The report says no more."
    # Another attempt of the same mail may be returned once more.
    digest = _digest(delivery.id, delivery.attempts, outcome, failure or "")
    is_new = _keep(
        digest,
        came_by,
        outcome,
        reading,
        now,
        words=words[:500],
        delivery_id=delivery.id,
        address_key=delivery.address_key,
        enhanced_code=code[:12] or None,
    )
    if is_new:
        _apply(delivery, outcome, failure, code=code, words=words, now=now)
    return outcome


def _of_address(delivery: Delivery, reading: Reading) -> Said | None:
    """What is said of the address the mail went to; of several such groups the one that did not arrive."""
    forms = {delivery.address_key, delivery.address.lower()}
    with suppress(ComposeError):
        forms.add(envelope_address(delivery.address).lower())
    mine = [each for each in reading.said if forms & {*each.addresses, *map(text_key, each.addresses)}]
    return min(mine, key=lambda each: each.action != "failed", default=None)


def _apply(
    delivery: Delivery, outcome: Outcome, failure: Failure | None, *, code: str, words: str, now: datetime
) -> None:
    if failure is not None and outcome in rules.NOT_ARRIVED:
        _fail(delivery, failure, code, words, now)
    is_stopped = False
    about: dict[str, Any] = {"detail": words, "delivery_id": delivery.id, "now": now}
    if outcome is Outcome.BOUNCED:
        reason, source = SuppressionReason.HARD_BOUNCE, SuppressionSource.REPORT
        is_stopped = actions.suppress(delivery.address, EVERY_TOPIC, reason, source=source, **about)
    elif outcome is Outcome.STRIKE:
        is_stopped = actions.strike(delivery.address, source=SuppressionSource.REPORT, **about)
    elif outcome is Outcome.POLICY:
        endings.trip_breaker(delivery.broadcast_id, now)
    elif outcome is Outcome.COMPLAINT:
        topic = db.session.scalars(select(Broadcast.topic).where(Broadcast.id == delivery.broadcast_id)).one()
        is_stopped = actions.suppress(delivery.address, topic, SuppressionReason.COMPLAINT, **about)
    if is_stopped:
        events.ring(events.STAFF)
        _audit(delivery, outcome, words, now)


def _fail(delivery: Delivery, failure: Failure, code: str, words: str, now: datetime) -> None:
    """What a server took and could not bring to its reader has failed, with the words of the report."""
    if delivery.state not in _CAN_FAIL:
        return
    note_attempt(delivery, failure, None, words, worker=rules.BY_REPORT, since=None, now=now)
    delivery.state, delivery.failure, delivery.finished_at = DeliveryState.FAILED, failure, now
    delivery.code, delivery.enhanced_code, delivery.answer = None, code[:12] or None, words[:500]
    db.session.flush()
    events.ring(events.broadcast_topic(delivery.broadcast_id))


def _audit(delivery: Delivery, outcome: Outcome, words: str, now: datetime) -> None:
    audit.record(
        "address.complain" if outcome is Outcome.COMPLAINT else "address.bounce",
        object_kind="person" if delivery.person_id else "address",
        object_id=delivery.person_id,
        by=SYSTEM,
        now=now,
        after={"address": delivery.address, "outcome": outcome, "detail": words},
    )
