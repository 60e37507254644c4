"""`/api/v1/quotes`: what companies are offered, with its lines and how it was answered."""

from typing import Any

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.jobs import messages, work
from portal.api.v1.jobs.messages import MessageQuery, MessageShape, NewMessage
from portal.api.v1.jobs.shapes import (
    NewQuote,
    PutQuoteShape,
    QuoteChange,
    QuoteLines,
    QuoteShape,
    QuoteToPut,
    WholeQuoteShape,
    WorkMove,
    WorkQuery,
)
from portal.api.v1.operations import Answer, Resources
from portal.api.v1.requests import expected_version
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.jobs.actions.items import set_lines
from portal.jobs.queries.offers import AnswerRecord, answers_of, offer_view, offered_now
from portal.jobs.queries.public import PublicItem
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import WorkKind
from portal.jobs.rules.offers import Offered
from portal.keyset import Piece

blueprint = Resources(
    Resource.QUOTES,
    Area.QUOTES,
    about=(
        "What a company is offered, found by its number, with its lines in whole minor units. A company’s token sees "
        "its own quotes as its people do; to accept or decline one somebody has to sign in."
    ),
)

NAME = "/<string(maxlength=20):quote_number>"
KIND = WorkKind.QUOTE


@blueprint.lists("", WorkQuery, QuoteShape, summary="List quotes")
def list_quotes(query: dict[str, Any]) -> Piece[Any]:
    return work.listed(KIND, query)


@blueprint.makes("", NewQuote, WholeQuoteShape, summary="Add a quote")
def add_quote(body: dict[str, Any]) -> Answer:
    """One that begins as sent is sent with its lines."""
    number = work.made(KIND, body)
    return Answer(_whole(number), f"/quotes/{number}")


@blueprint.sets("/by-external-number", QuoteToPut, PutQuoteShape, summary="Add a quote of another system, or change it")
def put_quote(body: dict[str, Any]) -> Answer:
    """Found again by its `external_number`: told of twice it is one quote. What the body does not name stays as it is,
    and nobody is mailed unless `notify` says so."""
    number, is_new = work.put(KIND, body)
    return Answer(_whole(number) | {"created": is_new})


@blueprint.reads(NAME, WholeQuoteShape, summary="Read a quote")
def read_quote(quote_number: str) -> Answer:
    return Answer(_whole(quote_number))


@blueprint.changes(NAME, QuoteChange, WholeQuoteShape, summary="Change what a quote says")
def change_quote(quote_number: str, body: dict[str, Any]) -> Answer:
    """Its company stays; its status is moved, not changed, and its lines are set as a whole."""
    work.changed(KIND, quote_number, body)
    return Answer(_whole(quote_number))


@blueprint.sets(f"{NAME}/lines", QuoteLines, WholeQuoteShape, summary="Set the lines of a quote", of_version=True)
def set_quote_lines(quote_number: str, body: dict[str, Any]) -> Answer:
    """Whoever has the quote open sees what has changed before they can accept it."""
    item = work.item_of(KIND, quote_number)
    lines, version = work.lines_given(body["lines"]) or [], expected_version(item.version)
    try:
        set_lines(item, lines, version=version, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        raise work.here(violation) from None
    return Answer(_whole(quote_number))


@blueprint.does(f"{NAME}/move", WholeQuoteShape, body=WorkMove, summary="Move a quote to another work status")
def move_quote(quote_number: str, body: dict[str, Any]) -> Answer:
    """What its customer sees follows from the settings of the work statuses. What is sent is frozen for its answer."""
    work.moved(KIND, quote_number, body)
    return Answer(_whole(quote_number))


@blueprint.lists(f"{NAME}/messages", MessageQuery, MessageShape, summary="List what was written about a quote")
def list_quote_messages(quote_number: str, query: dict[str, Any]) -> Piece[Any]:
    return messages.listed(KIND, quote_number, query)


@blueprint.makes(f"{NAME}/messages", NewMessage, MessageShape, summary="Write about a quote")
def write_about_quote(quote_number: str, body: dict[str, Any]) -> Answer:
    """It is written by whoever made the token. What is not `internal` is mailed to the customer."""
    made = messages.written(KIND, quote_number, body)
    return Answer(made, f"/quotes/{quote_number}/messages/{made['id']}")


@blueprint.reads(
    f"{NAME}/messages/<string(maxlength=40):quote_message_id>", MessageShape, summary="Read a message about a quote"
)
def read_quote_message(quote_number: str, quote_message_id: str) -> Answer:
    return Answer(messages.one(KIND, quote_number, quote_message_id))


def _whole(number: str) -> dict[str, Any]:
    seen = work.public_view(KIND, number)
    shown = work.whole(KIND, number, seen)
    offered, answer = _offer_of(seen, shown.get("id"))
    shown |= {"offer": _offer(offered)} if offered else {}
    return shown | ({"answer": _answer(answer)} if answer else {})


def _offer_of(seen: PublicItem | None, item_id: int | None) -> tuple[Offered | None, AnswerRecord | None]:
    """What a quote offers and the answer that stands: for staff as it is, for its company as it may read them."""
    if item_id is not None:
        return offered_now(item_id), next((each for each in answers_of(item_id) if each.stands), None)
    company_id = access.viewpoint().company_id
    if seen is None or company_id is None:
        return None, None
    view = offer_view(seen, today_of(company_id, clock.utcnow()))
    return view.offered, view.standing


def _offer(offered: Offered) -> dict[str, Any]:
    sums = offered.totals
    lines = [
        {
            "description": line.description,
            "quantity_thousandths": line.quantity_thousandths,
            "unit_price_minor": line.unit_price_minor,
            "tax_hundredths": line.tax_hundredths,
            "net_minor": offered.net(line),
        }
        for line in offered.lines
    ]
    return {
        "currency": offered.currency,
        "valid_until": offered.valid_until,
        "terms": offered.terms,
        "lines": lines,
        "net_minor": sums.net,
        "tax_minor": sums.tax,
        "gross_minor": sums.gross,
        "hash": offered.hash,
    }


def _answer(answer: AnswerRecord) -> dict[str, Any]:
    return {
        "accepted": answer.is_accepted,
        "name": answer.name,
        "at": answer.at,
        "reason": answer.reason,
        "offer_hash": answer.hash,
    }
