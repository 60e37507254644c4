"""What the company has with the business, and how each of it is."""

from dataclasses import dataclass
from email.utils import parseaddr
from itertools import groupby
from typing import cast

from flask import Blueprint, Response, abort, current_app, flash, request
from flask_babel import gettext as _

from portal import access, calendars, clock, events
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id
from portal.catalogue.rules import service_topic
from portal.customer.services.pages import calendar_words, line_of, lines_of, overview, service_view, window_view
from portal.domains.rules import Area
from portal.filters import markdown
from portal.fragments import redirect_to, render
from portal.language import current
from portal.notifications import actions
from portal.plaintext import from_html
from portal.services.queries import ServiceLine

blueprint = Blueprint("customer_services", __name__)
access.customers(blueprint, Area.SERVICES)

PER_PAGE = 50


@dataclass(frozen=True)
class Page:
    """One page of the list, with how many there are."""

    items: list[ServiceLine]
    page: int
    pages: int
    total: int


@blueprint.get("/services")
def services() -> Response:
    """The list by category, with `q` narrowing it to names and references that hold the text."""
    text = request.args.get("q", "").strip()[:100]
    lines, view = lines_of(access.signed_in(), clock.utcnow())
    found = [line for line in lines if text.casefold() in f"{line.name} {line.reference} {line.category}".casefold()]
    page = _page(found, request.args.get("page", "1"))
    categories = [(category, list(each)) for category, each in groupby(page.items, key=lambda line: line.category)]
    return render(
        "customer/services/services.html",
        "customer/services/_services.html",
        categories=categories,
        listed=page,
        text=text,
        overview=overview(lines) if page.page == 1 and not text else [],
        has_any=bool(lines),
        is_searchable=len(lines) > 10,
        has_months=bool(lines) and view.shows_history and Area.STATUS in access.areas(),
    )


@blueprint.get("/services/<int:holding_id>")
def service(holding_id: int) -> Response:
    """One service of the company: how it is, what was said of it, what is scheduled, and its last days."""
    view = service_view(access.signed_in(), holding_id)
    return render("customer/services/service.html", "customer/services/_service.html", **view)


@blueprint.get("/services/<int:holding_id>/<public_id>.ics")
def calendar(holding_id: int, public_id: str) -> Response:
    """Scheduled service for a calendar: the same entry as the one that mails bring, so that none stands there twice."""
    line, window, ends_at = window_view(access.signed_in(), holding_id, public_id)
    settings = current_app.config["SETTINGS"]
    entry = calendars.Entry(
        uid=f"{window.public_id}-{line.service_id}@{settings.mail_domain}",
        sequence=window.sequence,
        starts_at=window.starts_at,
        ends_at=ends_at,
        is_cancelled=False,
        changed_at=window.announced_at,
        organizer=parseaddr(settings.mail_from)[1],
    )
    text = calendars.written(
        entry, summary=calendar_words(line), description=from_html(markdown(window.notes)), language=current()
    )
    answer = Response(text, mimetype="text/calendar")
    answer.headers["Content-Disposition"] = f'attachment; filename="{window.public_id}.ics"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@blueprint.post("/services/<int:holding_id>/mails")
def mails(holding_id: int) -> Response:
    """Whether whoever asks is mailed about this service, from now on."""
    viewer = access.signed_in()
    line, _view = line_of(viewer, holding_id, clock.utcnow())
    wanted = {"1": True, "0": False}.get(request.form.get("wanted", ""))
    if wanted is None:
        abort(422)
    person = cast(Person, person_by_id(viewer.person_id))
    choice = {service_topic(line.service_id): wanted}
    actions.choose_for_person(person, choice, by=access.actor(), now=clock.utcnow(), is_recipient=True)
    events.commit()
    flash(_("You are mailed about this service.") if wanted else _("You are not mailed about this service any more."))
    return redirect_to(f"/services/{holding_id}")


def _page(lines: list[ServiceLine], wanted: str) -> Page:
    pages = max(1, -(-len(lines) // PER_PAGE))
    if not wanted.isdecimal() or len(wanted) > 6 or not 1 <= int(wanted) <= pages:
        abort(404)
    number = int(wanted)
    return Page(lines[(number - 1) * PER_PAGE : number * PER_PAGE], number, pages, len(lines))
