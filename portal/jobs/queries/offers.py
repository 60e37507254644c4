"""What a quote offers now and offered before, and how it was answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.jobs.models import QuoteAnswer, QuoteLine, QuoteOffer, WorkItem
from portal.jobs.queries.public import PublicItem
from portal.jobs.rules import WorkKind, number_of, written_number
from portal.jobs.rules.amounts import LineGiven
from portal.jobs.rules.offers import Offered, drawing_of


@dataclass(frozen=True)
class AnswerRecord:
    """How somebody answered an offer, as both sides may read it, whatever became of the quote since.

    `typed` or `drawing` (an SVG path) is the signature. `withdrawn_at` is when staff took the answer back.
    """

    id: int
    is_accepted: bool
    name: str
    at: datetime
    reason: str
    offer_number: int
    hash: str
    offered: Offered
    typed: str
    drawing: str
    withdrawn_at: datetime | None

    @property
    def stands(self) -> bool:
        return self.withdrawn_at is None


@dataclass(frozen=True)
class OfferView:
    """What the customer of a quote sees of its offer: None while there is none. `may_answer` if it can be accepted or
    declined today; `is_expired` if it could be, were it not too late. Answers begin with the newest."""

    offered: Offered | None
    is_expired: bool
    may_answer: bool
    answers: Sequence[AnswerRecord]

    @property
    def standing(self) -> AnswerRecord | None:
        """The answer that holds."""
        return next((answer for answer in self.answers if answer.stands), None)


def offer_view(item: PublicItem, today: date) -> OfferView:
    """The offer of a quote its customer sees: as it stands while they can answer it, else as it was last sent.

    What staff write on a quote that is not sent is not theirs to read yet. Three queries.
    """
    answers = answers_of(item.ref.id)
    standing = next((answer for answer in answers if answer.stands), None)
    offered = standing.offered if standing else None
    if offered is None and item.is_sent:
        offered = offered_now(item.ref.id)
    elif offered is None:
        last = last_offer(item.ref.id)
        offered = Offered.from_json(last.content) if last else None
    is_open = item.is_sent and standing is None and offered is not None
    is_expired = bool(offered and offered.valid_until and offered.valid_until < today)
    return OfferView(offered, is_open and is_expired, is_open and not is_expired, answers)


def offered_now(item_id: int) -> Offered:
    """What a quote offers as it stands. Two queries."""
    item = db.session.execute(
        select(
            WorkItem.number,
            WorkItem.title,
            WorkItem.description,
            WorkItem.site,
            WorkItem.currency,
            WorkItem.valid_until,
            WorkItem.terms,
        ).where(WorkItem.id == item_id)
    ).one()
    lines = db.session.execute(
        select(
            QuoteLine.description,
            QuoteLine.quantity_thousandths,
            QuoteLine.unit_price_minor,
            QuoteLine.tax_hundredths,
        )
        .where(QuoteLine.item_id == item_id)
        .order_by(QuoteLine.position, QuoteLine.id)
    )
    return Offered(
        number=written_number(WorkKind.QUOTE, item.number),
        title=item.title,
        description=item.description,
        site=item.site,
        currency=item.currency,
        valid_until=item.valid_until,
        terms=item.terms,
        lines=tuple(LineGiven(*line) for line in lines),
    )


def quote_numbered(written: str) -> WorkItem | None:
    """The quote of a number written like Q-1007, for staff; None for any other writing. One query."""
    number = number_of(WorkKind.QUOTE, written)
    if number is None or written_number(WorkKind.QUOTE, number) != written:
        return None
    return db.session.scalars(
        select(WorkItem).where(WorkItem.kind == WorkKind.QUOTE, WorkItem.number == number)
    ).one_or_none()


def last_offer(item_id: int) -> QuoteOffer | None:
    """The offer of a quote that was frozen last. One query."""
    return db.session.scalars(
        select(QuoteOffer).where(QuoteOffer.item_id == item_id).order_by(QuoteOffer.number.desc()).limit(1)
    ).one_or_none()


def offer_with_hash(item_id: int, wanted: str) -> QuoteOffer | None:
    """The offer of a quote that has this hash. One query."""
    return db.session.scalars(
        select(QuoteOffer)
        .where(QuoteOffer.item_id == item_id, QuoteOffer.hash == wanted)
        .order_by(QuoteOffer.number.desc())
        .limit(1)
    ).one_or_none()


def answers_of(item_id: int) -> list[AnswerRecord]:
    """Every answer to a quote, the newest first, those that were taken back too. One query."""
    rows = db.session.scalars(
        select(QuoteAnswer)
        .options(joinedload(QuoteAnswer.offer))
        .where(QuoteAnswer.item_id == item_id)
        .order_by(QuoteAnswer.id.desc())
    )
    return [record_of(row) for row in rows]


def standing_answer(item_id: int) -> QuoteAnswer | None:
    """The answer to a quote that holds. One query."""
    return db.session.scalars(
        select(QuoteAnswer)
        .options(joinedload(QuoteAnswer.offer))
        .where(QuoteAnswer.item_id == item_id, QuoteAnswer.withdrawn_at.is_(None))
    ).one_or_none()


def record_of(answer: QuoteAnswer) -> AnswerRecord:
    """An answer, whose offer is loaded, as it is read."""
    signature = answer.signature or {}
    return AnswerRecord(
        id=answer.id,
        is_accepted=answer.is_accepted,
        name=answer.name,
        at=answer.at,
        reason=answer.reason,
        offer_number=answer.offer.number,
        hash=answer.offer.hash,
        offered=Offered.from_json(answer.offer.content),
        typed=str(signature.get("typed", "")),
        drawing=drawing_of(signature.get("drawn", ())),
        withdrawn_at=answer.withdrawn_at,
    )
