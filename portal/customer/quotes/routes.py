"""`/quotes`: a company's quotes as it may see them."""

from flask import Blueprint, Response

from portal import access, writing
from portal.customer.jobs.booking import show_booking, take_booking, take_cancel, take_files
from portal.customer.jobs.pages import item_of, item_view, list_view
from portal.customer.quotes.answering import show_accept, show_decline, take_accept, take_decline
from portal.domains.rules import Area
from portal.fragments import render
from portal.jobs.rules import WorkKind

blueprint = Blueprint("customer_quotes", __name__, url_prefix="/quotes")
access.customers(blueprint, Area.QUOTES)
for _view in ("ask", "add_files"):
    access.takes_uploads(f"customer_quotes.{_view}", None, most_bytes=writing.MOST_BYTES, sentence=writing.TOO_LARGE)


@blueprint.get("")
def quotes() -> Response:
    """The quotes, those that can be accepted first, narrowed by `status` (the key of a public status) and `q`."""
    return render("customer/quotes/quotes.html", "customer/quotes/_quotes.html", **list_view(WorkKind.QUOTE))


@blueprint.get("/new")
def new() -> Response:
    """The form that asks for a quote."""
    return show_booking(WorkKind.QUOTE)


@blueprint.post("/new")
def ask() -> Response:
    """Ask for a quote; sent twice, it is one."""
    return take_booking(WorkKind.QUOTE)


@blueprint.get("/<number>")
def quote(number: str) -> Response:
    """One quote with what became of it, its files and what was written about it."""
    view = item_view(item_of(WorkKind.QUOTE, number))
    return render("customer/quotes/quote.html", "customer/quotes/_quote.html", **view)


@blueprint.get("/<number>/accept")
def signing(number: str) -> Response:
    """The page on which a quote is signed."""
    return show_accept(number)


@blueprint.post("/<number>/accept")
def accept(number: str) -> Response:
    """Accept a quote as it was shown."""
    return take_accept(number)


@blueprint.get("/<number>/decline")
def declining(number: str) -> Response:
    """The page on which a quote is declined."""
    return show_decline(number)


@blueprint.post("/<number>/decline")
def decline(number: str) -> Response:
    """Decline a quote, with a reason."""
    return take_decline(number)


@blueprint.post("/<number>/files")
def add_files(number: str) -> Response:
    """Add files to a quote."""
    return take_files(WorkKind.QUOTE, number)


@blueprint.post("/<number>/cancel")
def cancel(number: str) -> Response:
    """Call off what one has asked for oneself, as long as nothing else has become of it."""
    return take_cancel(WorkKind.QUOTE, number)
