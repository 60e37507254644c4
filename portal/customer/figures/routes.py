"""`/figures`: what the company has, uses and gets, as it is now and drawn over a day, week, month or year."""

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _

from portal import access, clock
from portal.domains.rules import Area
from portal.fragments import render
from portal.language import reader_zone
from portal.usage import sources
from portal.usage.figures import company_figures, has_calls
from portal.usage.rules import Span

blueprint = Blueprint("customer_figures", __name__)
access.customers(blueprint, Area.ALERTS)


@blueprint.get("/figures")
def figures() -> Response:
    """Every figure of the company with its definition and its chart; `span` says over which time."""
    company_id, now = access.signed_in().company_id or 0, clock.utcnow()
    asked = request.args.get("span", Span.DAY.value)
    span = next((each for each in Span if each.value == asked), None) or abort(404)
    words = {Span.DAY: _("Day"), Span.WEEK: _("Week"), Span.MONTH: _("Month"), Span.YEAR: _("Year")}
    return render(
        "customer/figures/figures.html",
        "customer/figures/_figures.html",
        figures=company_figures(company_id, span, now, reader_zone()),
        span=span,
        spans=[
            (word, "/figures" if each is Span.DAY else f"/figures?span={each.value}", each is span)
            for each, word in words.items()
        ],
        has_calls=has_calls(company_id),
        topic=sources.topic(company_id),
    )
