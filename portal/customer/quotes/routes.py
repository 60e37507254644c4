"""`/quotes`: a company's quotes as it may see them."""

from flask import Blueprint, Response

from portal import access
from portal.customer.jobs.pages import item_of, item_view, list_view
from portal.domains.rules import Area
from portal.fragments import render
from portal.jobs.rules import WorkKind

blueprint = Blueprint("customer_quotes", __name__, url_prefix="/quotes")
access.customers(blueprint, Area.QUOTES)


@blueprint.get("")
def quotes() -> Response:
    """The quotes, those that can be accepted first, narrowed by `status` (the key of a public status) and `q`."""
    return render("customer/quotes/quotes.html", "customer/quotes/_quotes.html", **list_view(WorkKind.QUOTE))


@blueprint.get("/<number>")
def quote(number: str) -> Response:
    """One quote with what became of it, its files and what was written about it."""
    view = item_view(item_of(WorkKind.QUOTE, number))
    return render("customer/quotes/quote.html", "customer/quotes/_quote.html", **view)
