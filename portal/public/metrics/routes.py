"""`/status/metrics/<key>`: one metric that everybody may see on a portal domain, over a day, week, month or year."""

from typing import Any

from flask import Blueprint
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal import access, clock
from portal.domains.models import PortalDomain
from portal.fragments import render, wants_fragment
from portal.language import reader_zone
from portal.public.status import pages
from portal.public.status.everybody import answer_everybody
from portal.usage.queries import shown_metric
from portal.usage.rules import KEY_LENGTH, Span, rows_of

blueprint = Blueprint("public_metrics", __name__, url_prefix="/status/metrics")
access.status_readers(blueprint)

PAGE, FRAGMENT = "public/metrics/metric.html", "public/metrics/_metric.html"


@blueprint.get("/<key>")
def metric(key: str) -> Response:
    """The last day."""
    return _answer(key, Span.DAY)


@blueprint.get("/<key>/<span>")
def metric_over(key: str, span: str) -> Response:
    """The last week, month or year."""
    wanted = next((each for each in Span if each.value == span and each is not Span.DAY), None)
    return _answer(key, wanted) if wanted else access.refuse_status_reader()


def _answer(key: str, span: Span) -> Response:
    """The same for whoever may read the status page, signed in or not."""
    viewpoint, domain = access.status_viewpoint(), access.portal()
    if len(key) > KEY_LENGTH:
        return access.refuse_status_reader()
    if viewpoint.is_signed_out:
        template, language = FRAGMENT if wants_fragment() else PAGE, pages.language_of_reader(domain)
        html = pages.render_public(template, domain, language, lambda: _view(domain, key, span))
        return answer_everybody(html) if html is not None else access.refuse_status_reader()
    made = _view(domain, key, span)
    return render(PAGE, FRAGMENT, **made) if made else access.refuse_status_reader()


def _view(domain: PortalDomain, key: str, span: Span) -> dict[str, Any] | None:
    found = shown_metric(domain.id, key, span, clock.utcnow(), reader_zone())
    if found is None:
        return None
    address = f"/status/metrics/{found.key}"
    words = {Span.DAY: _("Day"), Span.WEEK: _("Week"), Span.MONTH: _("Month"), Span.YEAR: _("Year")}
    return {
        "metric": found,
        "rows": rows_of(found.chart),
        "spans": [
            (word, address if each is Span.DAY else f"{address}/{each.value}", each is span)
            for each, word in words.items()
        ],
    }
