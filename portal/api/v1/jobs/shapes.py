"""The shapes of jobs and quotes: what a company's token reads of them, and what staff read and write beside it."""

from typing import Any

from marshmallow import fields, validate

from portal.api.v1.fields import LARGEST_ID, Day, Id, InAddress, Moment, Number, Switch, SwitchInAddress, Text, Word
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.jobs.actions.items import LINE_LENGTH, LONGEST
from portal.jobs.actions.moves import REASON_LENGTH, Outcome
from portal.jobs.queries.public import NUMBER_ORDERS, SEARCHED
from portal.jobs.rules.amounts import CURRENCIES, LINES_AT_MOST, PRICE_AT_MOST, QUANTITY_AT_MOST, TAX_AT_MOST

MOVED_AT_ONCE = 100
"""Items one request may move."""

STAFF_ONLY = {"description": "Not for a company’s token."}


class PublicStatusShape(Shape):
    key = fields.String(required=True, metadata={"description": "What a list can be narrowed by."})
    name = fields.String(required=True)
    color = fields.String(required=True)
    text_color = fields.String(required=True)


class WorkShape(Shape):
    number = fields.String(required=True)
    title = fields.String(required=True)
    site = fields.String(required=True)
    starts_at = Moment(required=True, allow_none=True, metadata={"description": "Of the window it is planned for."})
    ends_at = Moment(required=True, allow_none=True)
    holding_id = fields.Integer(required=True, allow_none=True, metadata={"description": "What it is about."})
    public_status = fields.Nested(
        PublicStatusShape,
        metadata={"description": "What its customer sees; missing while it is not in the portal."},
    )
    public_since = Moment(required=True, allow_none=True)
    open = fields.Boolean(required=True, metadata={"description": "Whether it is not finished."})
    id = fields.Integer(metadata=STAFF_ONLY)
    external_number = fields.String(allow_none=True, metadata=STAFF_ONLY)
    company_id = fields.Integer(metadata=STAFF_ONLY)
    contact_id = fields.Integer(allow_none=True, metadata=STAFF_ONLY)
    assignee_id = fields.Integer(allow_none=True, metadata=STAFF_ONLY)
    booked_by_id = fields.Integer(allow_none=True, metadata=STAFF_ONLY)
    status_id = fields.Integer(metadata={"description": "Its work status. Not for a company’s token."})
    status_name = fields.String(metadata=STAFF_ONLY)
    status_since = Moment(metadata=STAFF_ONLY)
    waits_since = Moment(
        allow_none=True,
        metadata={"description": "Since when its customer waits for an answer. Not for a company’s token."},
    )
    created_at = Moment(metadata=STAFF_ONLY)
    finished_at = Moment(allow_none=True, metadata=STAFF_ONLY)
    version = fields.Integer(metadata=STAFF_ONLY)


class JobShape(WorkShape):
    number = fields.String(required=True, metadata={"example": "J-1042"})


class QuoteShape(WorkShape):
    number = fields.String(required=True, metadata={"example": "Q-1007"})
    waiting = fields.Boolean(
        metadata={"description": "Whether it can be accepted or declined. For a company’s token alone."}
    )


class PublicChangeShape(Shape):
    at = Moment(required=True)
    status = fields.Nested(PublicStatusShape, required=True)


class MoveShape(Shape):
    at = Moment(required=True)
    status_id = fields.Integer(required=True)
    status_name = fields.String(required=True)
    reason = fields.String(required=True)
    told = fields.String(
        required=True, allow_none=True, metadata={"description": "What its customer was shown then; null if nothing."}
    )


class _Whole(Shape):
    description = fields.String(required=True)
    changes = fields.List(
        fields.Nested(PublicChangeShape),
        required=True,
        metadata={"description": "What became of it, as its customer sees it; the newest first."},
    )
    moves = fields.List(
        fields.Nested(MoveShape),
        metadata={"description": "Its last moves, the newest first. Not for a company’s token."},
    )


class WholeJobShape(JobShape, _Whole):
    pass


class LineShape(Shape):
    description = fields.String(required=True)
    quantity_thousandths = fields.Integer(required=True, metadata={"description": "1500 is one and a half."})
    unit_price_minor = fields.Integer(required=True, metadata={"description": "Pence, cents and the like."})
    tax_hundredths = fields.Integer(required=True, metadata={"description": "Of a percent: 2000 is 20 %."})
    net_minor = fields.Integer(required=True)


class OfferShape(Shape):
    currency = fields.String(required=True)
    valid_until = fields.Date(required=True, allow_none=True, metadata={"description": "In the zone of the company."})
    terms = fields.String(required=True)
    lines = fields.List(fields.Nested(LineShape), required=True)
    net_minor = fields.Integer(required=True)
    tax_minor = fields.Integer(required=True)
    gross_minor = fields.Integer(required=True)
    hash = fields.String(required=True, metadata={"description": "What an answer is bound to (SHA-256)."})


class QuoteAnswerShape(Shape):
    accepted = fields.Boolean(required=True)
    name = fields.String(required=True, metadata={"description": "Who signed, as they wrote it."})
    at = Moment(required=True)
    reason = fields.String(required=True, metadata={"description": "Why it was declined."})
    offer_hash = fields.String(required=True)


class WholeQuoteShape(QuoteShape, _Whole):
    offer = fields.Nested(
        OfferShape,
        metadata={
            "description": "What it offers as it stands; to a company’s token as it was sent, missing before that."
        },
    )
    answer = fields.Nested(
        QuoteAnswerShape, metadata={"description": "How it was answered; missing where no answer stands."}
    )


class PutJobShape(WholeJobShape):
    created = fields.Boolean(required=True, metadata={"description": "Whether it is new."})


class PutQuoteShape(WholeQuoteShape):
    created = fields.Boolean(required=True, metadata={"description": "Whether it is new."})


class WorkQuery(ListQuery):
    q = Text(most=SEARCHED, metadata={"description": "Those whose title holds this, or with this number."})
    status = Text(most=64, metadata={"description": "The key of a public status."})
    open = SwitchInAddress(metadata={"description": "Only those that are not finished, or only those that are."})
    status_id = InAddress(metadata=STAFF_ONLY)
    company_id = InAddress(metadata=STAFF_ONLY)
    assignee_id = InAddress(metadata=STAFF_ONLY)
    external_number = Text(most=LONGEST["external_number"], metadata=STAFF_ONLY)
    waiting = SwitchInAddress(
        metadata={"description": "Only those whose customer waits for an answer. Not for a company’s token."}
    )
    sort = sorted_by(NUMBER_ORDERS)


STAFF_FILTERS = ("status_id", "company_id", "assignee_id", "external_number", "waiting")


def _title(**rest: Any) -> Text:
    return Text(least=1, most=LONGEST["title"], metadata={"example": "Replace the router"}, **rest)


def _external(**rest: Any) -> Text:
    return Text(
        most=LONGEST["external_number"],
        metadata={"description": "What another system calls it; nothing else has the same.", "example": "WO-20017"},
        **rest,
    )


def _currency(**rest: Any) -> fields.String:
    return fields.String(validate=validate.OneOf(CURRENCIES), **rest)


class _Facts(Shape):
    """What can be said of an item; what is not named stays, or of a new one is empty."""

    contact_id = Id(allow_none=True, metadata={"description": "Somebody who acts for the company."})
    site = Text(most=LONGEST["site"])
    holding_id = Id(allow_none=True, metadata={"description": "What the company holds that it is about."})
    description = Text(most=LONGEST["description"])
    starts_at = Moment(allow_none=True)
    ends_at = Moment(allow_none=True)
    assignee_id = Id(allow_none=True, metadata={"description": "Who of the staff does it."})


class _QuoteFacts(_Facts):
    valid_until = Day(allow_none=True, metadata={"description": "The last day it can be accepted on."})
    terms = Text(most=LONGEST["terms"])
    currency = _currency()


class GivenLine(Shape):
    description = Text(required=True, least=1, most=LINE_LENGTH, metadata={"example": "Labour, by the hour"})
    quantity_thousandths = Number(
        least=0, most=QUANTITY_AT_MOST, load_default=1000, metadata={"description": "1500 is one and a half."}
    )
    unit_price_minor = Number(
        least=-PRICE_AT_MOST,
        most=PRICE_AT_MOST,
        load_default=0,
        metadata={"description": "Pence, cents and the like; below nothing it is a reduction."},
    )
    tax_hundredths = Number(
        least=0, most=TAX_AT_MOST, load_default=0, metadata={"description": "Of a percent: 2000 is 20 %."}
    )


def _lines(**rest: Any) -> fields.List[Any]:
    return fields.List(fields.Nested(GivenLine), validate=validate.Length(max=LINES_AT_MOST), **rest)


def _notify(load_default: bool) -> Switch:
    return Switch(load_default=load_default, metadata={"description": "Mail its customer where the status is one."})


class NewJob(_Facts):
    company_id = Id(required=True)
    title = _title(required=True)
    external_number = _external(allow_none=True)
    status_id = Id(metadata={"description": "The work status it begins in; without one “Requested”."})
    notify = _notify(load_default=True)


class NewQuote(_QuoteFacts, NewJob):
    lines = _lines(load_default=None, allow_none=True)


class JobChange(_Facts):
    title = _title()
    external_number = _external(allow_none=True)


class QuoteChange(_QuoteFacts, JobChange):
    pass


class WorkMove(Shape):
    status_id = Id(required=True, metadata={"description": "The work status it comes to."})
    reason = Text(
        most=REASON_LENGTH,
        load_default="",
        metadata={"description": "For staff. Finished work is only taken up again with one."},
    )
    notify = _notify(load_default=True)


class ToMove(Shape):
    number = Text(required=True, least=1, most=20, metadata={"example": "J-1042"})
    version = Number(
        least=1,
        most=LARGEST_ID,
        allow_none=True,
        load_default=None,
        metadata={"description": "What it was when it was chosen; null for whatever is there."},
    )


class ManyMoves(WorkMove):
    items = fields.List(fields.Nested(ToMove), required=True, validate=validate.Length(1, MOVED_AT_ONCE))


class MovedShape(Shape):
    number = fields.String(required=True)
    outcome = Word(Outcome, required=True)
    detail = fields.String(required=True, metadata={"description": "Why it was not moved; empty where it was."})
    version = fields.Integer(
        required=True, allow_none=True, metadata={"description": "What it is now; null for what is missing."}
    )


class MovedListShape(Shape):
    results = fields.List(fields.Nested(MovedShape), required=True)


class TakingBack(Shape):
    reason = Text(
        required=True,
        least=1,
        most=REASON_LENGTH,
        metadata={"description": "For staff; its customer reads none of it."},
    )


class JobToPut(_Facts):
    external_number = Text(
        required=True,
        least=1,
        most=LONGEST["external_number"],
        metadata={"description": "What the other system calls it.", "example": "WO-20017"},
    )
    company_id = Id(required=True)
    title = _title(required=True)
    status_id = Id(metadata={"description": "The work status it is in; without one it stays where it is."})
    reason = Text(most=REASON_LENGTH, load_default="", metadata={"description": "Why it comes to this status."})
    notify = _notify(load_default=False)


class QuoteToPut(_QuoteFacts, JobToPut):
    lines = _lines(load_default=None, allow_none=True, metadata={"description": "Null keeps those it has."})


class QuoteLines(Shape):
    lines = _lines(required=True)
