"""Answering quotes: customers accept or decline what they were shown, staff take an answer back and leave a trace."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import format_date
from flask_babel import gettext as _
from sqlalchemy import select

from portal import events
from portal.accounts.models import Person
from portal.accounts.rules import one_line, paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.jobs import letters
from portal.jobs.actions.moves import REASON_LENGTH, lock_settings, move
from portal.jobs.actions.offers import freeze_one
from portal.jobs.models import QuoteAnswer, WorkItem
from portal.jobs.queries.offers import offer_with_hash, offered_now, record_of, standing_answer
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import Role, Unseen, WorkKind, resolve, written_number
from portal.jobs.rules.offers import NAME_LENGTH, Difference, Offered, differences, drawn_strokes

DECLINE_LENGTH = 2000


class OfferChangedError(RuleViolation):
    """The quote is not what was shown any more. `offered` is what it is now; `changed` is None where nobody kept what
    was shown."""

    def __init__(self, offered: Offered, changed: tuple[Difference, ...] | None) -> None:
        super().__init__(_("This quote was changed since you opened it. Please read it again."))
        self.offered = offered
        self.changed = changed


@dataclass(frozen=True)
class Signer:
    """Who answers a quote: the person who is signed in, for their company, and where the answer comes from."""

    person_id: int
    company_id: int
    address: str
    agent: str


@dataclass(frozen=True)
class Signature:
    """A name, and under it a signature: typed, or drawn as the page sends it."""

    name: str
    typed: str = ""
    drawn: str = ""


def accept(
    item_id: int,
    shown: str,
    signature: Signature,
    signer: Signer,
    *,
    agrees: bool,
    by: Actor,
    now: datetime,
    tell: bool = True,
) -> QuoteAnswer:
    """Accept a quote exactly as it was shown, which `shown` is the hash of. Accepted already, that answer is returned.

    RuleViolation where it cannot be answered, is expired or was declined, and for what the form lacks;
    OfferChangedError where it is not what was shown. In the same transaction the customer gets a receipt and the
    office is told; without `tell` nobody is mailed.
    """
    item = _locked(item_id, signer)
    standing = standing_answer(item.id)
    if standing is not None and standing.is_accepted:
        return standing
    offered = _answerable(item, standing, now)
    _check_still_same(item, offered, shown)
    name = _name(signature.name)
    stored = _signature(signature)
    if offered.terms and not agrees:
        raise RuleViolation(_("Read the terms, and say that you agree to them."), "agrees")
    return _answer(item, signer, by=by, now=now, is_accepted=True, name=name, signature=stored, tell=tell)


def decline(
    item_id: int, name: str, reason: str, signer: Signer, *, by: Actor, now: datetime, tell: bool = True
) -> QuoteAnswer:
    """Decline a quote and say why. Declined already, that answer is returned; accepted, it is refused. Both sides are
    mailed, without `tell` nobody is."""
    item = _locked(item_id, signer)
    standing = standing_answer(item.id)
    if standing is not None and not standing.is_accepted:
        return standing
    _answerable(item, standing, now)
    why = paragraphs(reason).strip()
    if not why:
        raise RuleViolation(_("Say in a sentence why, so that we can do better."), "reason")
    if len(why) > DECLINE_LENGTH:
        raise RuleViolation(_("At most %(most)s characters, please.", most=DECLINE_LENGTH), "reason")
    return _answer(item, signer, by=by, now=now, is_accepted=False, name=_name(name), reason=why, tell=tell)


def take_back(answer_id: int, reason: str, *, by: Actor, now: datetime) -> WorkItem:
    """Take an answer back, for staff: it stays on record as taken back, and the quote is sent once more.

    RuleViolation without a reason; NotFound for an answer there is not, or that was taken back before.
    """
    answer = db.session.scalars(
        select(QuoteAnswer)
        .where(QuoteAnswer.id == answer_id, QuoteAnswer.withdrawn_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if answer is None:
        raise NotFound
    why = one_line(reason)
    if not why:
        raise RuleViolation("Say why it is taken back. The customer does not read it.", "reason")
    if len(why) > REASON_LENGTH:
        raise RuleViolation(f"At most {REASON_LENGTH} characters, please.", "reason")
    item = db.session.scalars(
        select(WorkItem)
        .where(WorkItem.id == answer.item_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    answer.withdrawn_at, answer.withdrawn_by_id, answer.withdrawn_reason = now, by.person_id, why
    item.public_revision += 1
    db.session.flush()
    audit.record(
        "quote.take_back",
        object_kind="quote",
        object_id=item.id,
        company_id=item.company_id,
        by=by,
        now=now,
        before={"answer": "accepted" if answer.is_accepted else "declined", "by": answer.name},
        after={"number": written_number(item.kind, item.number), "reason": why},
    )
    table = lock_settings(WorkKind.QUOTE).table
    answered = {table.with_role(Role.ACCEPTED).id, table.with_role(Role.DECLINED).id}
    if item.status_id in answered:
        move(item, table.with_role(Role.SENT).id, by=by, now=now, reason=why)
    _ring(item)
    return item


def _locked(item_id: int, signer: Signer) -> WorkItem:
    """The quote, held until the transaction ends: of two that answer at once, one comes after the other."""
    found = db.session.scalars(
        select(WorkItem)
        .where(WorkItem.id == item_id, WorkItem.kind == WorkKind.QUOTE, WorkItem.company_id == signer.company_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


def _answerable(item: WorkItem, standing: QuoteAnswer | None, now: datetime) -> Offered:
    """What the quote offers, if it can be answered now."""
    if standing is not None:
        taken = _("It was accepted by %(name)s already.") if standing.is_accepted else _("It was declined by %(name)s.")
        raise RuleViolation(taken % {"name": standing.name})
    table = lock_settings(WorkKind.QUOTE).table
    sent = table.with_role(Role.SENT)
    if item.status_id != sent.id or isinstance(resolve(table, sent.id), Unseen):
        raise RuleViolation(_("This quote cannot be answered at the moment. Write to us if you want it."))
    offered = offered_now(item.id)
    if offered.valid_until is not None and offered.valid_until < today_of(item.company_id, now):
        day = format_date(offered.valid_until, "long")
        raise RuleViolation(_("This quote was valid until %(day)s. Ask us for a new one.", day=day))
    return offered


def _check_still_same(item: WorkItem, offered: Offered, shown: str) -> None:
    if offered.hash == shown:
        return
    kept = offer_with_hash(item.id, shown) if len(shown) == 64 else None
    raise OfferChangedError(offered, differences(Offered.from_json(kept.content), offered) if kept else None)


def _name(typed: str) -> str:
    name = one_line(typed)
    if not name:
        raise RuleViolation(_("Write your name."), "name")
    if len(name) > NAME_LENGTH:
        raise RuleViolation(_("At most %(most)s characters, please.", most=NAME_LENGTH), "name")
    return name


def _signature(given: Signature) -> dict[str, Any]:
    if given.drawn:
        strokes = drawn_strokes(given.drawn)
        if strokes is None:
            raise RuleViolation(_("The drawn signature cannot be read. Draw it again, or type it."), "signature")
        return {"drawn": strokes}
    typed = one_line(given.typed)
    if not typed:
        raise RuleViolation(_("Sign: type your name once more, or draw it."), "signature")
    return {"typed": typed[:NAME_LENGTH]}


def _answer(
    item: WorkItem,
    signer: Signer,
    *,
    by: Actor,
    now: datetime,
    is_accepted: bool,
    name: str,
    signature: dict[str, Any] | None = None,
    reason: str = "",
    tell: bool,
) -> QuoteAnswer:
    """Write the answer down, bound to a frozen copy of what it answers, and let everything follow from it."""
    offer = freeze_one(item.id, by_id=None, now=now)
    answer = QuoteAnswer(
        item_id=item.id,
        offer_id=offer.id,
        offer=offer,
        is_accepted=is_accepted,
        name=name,
        signature=signature,
        reason=reason,
        person_id=signer.person_id,
        at=now,
        address=signer.address[:45],
        agent=one_line(signer.agent)[:300],
    )
    db.session.add(answer)
    db.session.flush()
    word = "accept" if is_accepted else "decline"
    audit.record(
        f"quote.{word}",
        object_kind="quote",
        object_id=item.id,
        company_id=item.company_id,
        by=by,
        now=now,
        after={
            "number": written_number(item.kind, item.number),
            "name": name,
            "offer": offer.number,
            "hash": offer.hash,
            "reason": reason,
        },
    )
    role = Role.ACCEPTED if is_accepted else Role.DECLINED
    move(item, lock_settings(WorkKind.QUOTE).table.with_role(role).id, by=by, now=now, tell=False)
    item.public_revision += 1
    _ring(item)
    if not tell:
        return answer
    record = record_of(answer)
    letters.mail_receipt(item, record, db.session.get_one(Person, signer.person_id), now)
    letters.tell_office(
        item,
        f"was {word}{'ed' if is_accepted else 'd'} by {name}",
        reason,
        key=f"answer:{answer.id}",
        now=now,
    )
    return answer


def _ring(item: WorkItem) -> None:
    """An answer is shown whatever its customer sees of the status, so their pages look again."""
    number = written_number(item.kind, item.number)
    events.ring(events.STAFF, events.company_topic(item.company_id), events.item_topic(item.kind.value, number))
    db.session.flush()
