"""`/api/v1/quotes`: what companies are offered, with its lines and how it was answered."""

from typing import Any

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.jobs import work
from portal.api.v1.jobs.both import Both, Shapes
from portal.api.v1.jobs.shapes import (
    NewQuote,
    PutQuoteShape,
    QuoteChange,
    QuoteLines,
    QuoteShape,
    QuoteToPut,
    TakingBack,
    WholeQuoteShape,
)
from portal.api.v1.operations import Answer, Resources
from portal.api.v1.requests import expected_version
from portal.domains.rules import Area
from portal.errors import RuleViolation, StaleEdit
from portal.jobs.actions.items import set_lines
from portal.jobs.actions.quotes import take_back
from portal.jobs.queries.offers import AnswerRecord, answers_of, offer_view, offered_now, standing_answer
from portal.jobs.queries.public import PublicItem
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import WorkKind
from portal.jobs.rules.offers import Offered

blueprint = Resources(
    Resource.QUOTES,
    Area.QUOTES,
    about=(
        "What a company is offered, found by its number, with its lines in whole minor units. A company’s token sees "
        "its own quotes as its people do; to accept or decline one somebody has to sign in."
    ),
)

KIND = WorkKind.QUOTE


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


both = Both(
    KIND,
    blueprint,
    Shapes(QuoteShape, WholeQuoteShape, NewQuote, QuoteChange, QuoteToPut, PutQuoteShape),
    _whole,
)


@blueprint.sets(f"{both.rule}/lines", QuoteLines, WholeQuoteShape, summary="Set the lines of a quote", of_version=True)
def set_quote_lines(quote_number: str, body: dict[str, Any]) -> Answer:
    """Whoever has the quote open sees what has changed before they can accept it."""
    item = work.item_of(KIND, quote_number)
    lines, version = work.lines_given(body["lines"]) or [], expected_version(item.version)
    try:
        set_lines(item, lines, version=version, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        raise work.here(violation) from None
    return Answer(_whole(quote_number))


@blueprint.does(f"{both.rule}/take-back", WholeQuoteShape, body=TakingBack, summary="Take back the answer to a quote")
def take_back_answer(quote_number: str, body: dict[str, Any]) -> Answer:
    """For staff: the answer stays on record as taken back, and the quote is sent once more. Its customer sees that, and
    not the reason."""
    item = work.item_of(KIND, quote_number)
    if expected_version(item.version) != item.version:
        raise StaleEdit
    standing = standing_answer(item.id)
    if standing is None:
        raise RuleViolation("No answer stands that could be taken back.")
    take_back(standing.id, body["reason"], by=access.actor(), now=clock.utcnow())
    return Answer(_whole(quote_number))
