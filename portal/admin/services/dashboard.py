"""The service status dashboard: every service by status, and the holdings of one service."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from portal import access, clock
from portal.accounts.rules import STAFF, Permission, may, text_key
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.services.place import blueprint
from portal.admin.services.routes import set_service
from portal.catalogue.models import Service
from portal.catalogue.queries import lists
from portal.fragments import redirect_to, render, wants_fragment
from portal.incidents.queries import open_incident_heads
from portal.incidents.queries.availability import rule_in, this_month
from portal.services.queries import dashboard as found
from portal.services.queries.settings import settings
from portal.services.queries.timeliness import LATELY, told_since
from portal.services.queries.uptime import service_histories, uptimes, whole_service
from portal.services.rules import NAG_AFTER, ServiceStatus
from portal.services.timeliness import Share, share, shares

PER_PAGE = 100
"""Services on one page: the dashboard is looked at whole."""

INCIDENTS_NAMED = 5

WORST_FIRST = tuple(reversed(ServiceStatus))


class Listed(NamedTuple):
    """A page of services, as the pager takes it."""

    items: list[found.ServiceCounts]
    page: int
    pages: int
    total: int


@blueprint.get("")
def dashboard() -> Response:
    """Every service with how many of its holdings are how, worst first. A fixed number of queries."""
    now = clock.utcnow()
    broken = found.breakage(now)
    services = found.services_counted(now, broken)
    text, category = text_wanted(), request.args.get("category", "")[:100]
    usual = settings()
    told = told_since(now - LATELY)
    return render(
        "admin/services/dashboard.html",
        "admin/services/_dashboard.html",
        listed=_narrowed(services, text, category, page_wanted()),
        services=len(services),
        statuses=WORST_FIRST,
        totals={status: sum(each.counts[status] for each in services) for status in ServiceStatus},
        categories=sorted({each.category for each in services if each.category}),
        text=text,
        category=category,
        companies=found.companies_affected(now, broken),
        oldest=found.oldest_problem(now),
        forgotten=[each for each in services if each.forgotten],
        incidents=open_incident_heads(INCIDENTS_NAMED) if broken.components else (),
        ahead=found.windows_ahead(now),
        shares=shares(told, usual.targets, now),
        overall=share(told, usual.targets, now),
        level=lambda since: nag_level(since, now),
        now=_minute(now),
        may_set=may(access.signed_in().role, Permission.SERVICES_SET),
    )


@blueprint.get("/choose")
def choose() -> Response:
    """Which service to set for everybody who holds it; once it is chosen, on to its form."""
    access.require(Permission.SERVICES_SET)
    if "service" not in request.args:
        return render(
            "admin/services/dashboard_choose.html",
            "admin/services/_dashboard_choose.html",
            is_beside=wants_fragment(),
            choices=sorted(lists.all_services(), key=lambda each: each.name_key),
        )
    service_id = request.args.get("service", type=int)
    if service_id is None or not 0 < service_id < 2**31:
        abort(404)
    chosen = service_or_404(service_id)
    return set_service(chosen.id) if wants_fragment() else redirect_to(url_for(".set_service", service_id=chosen.id))


@blueprint.get("/<int:service_id>")
def service(service_id: int) -> Response:
    """The holdings of a service, worst first, narrowed by status and text."""
    wanted, now = service_or_404(service_id), clock.utcnow()
    broken = found.breakage(now)
    status, text = status_wanted(), text_wanted()
    counts = found.problems_by_service(now, broken, service_id).get(service_id, dict.fromkeys(ServiceStatus, 0))
    narrowed = found.Wanted(status=status, text=text, service_id=service_id)
    total = None if text else sum(counts[each] for each in ([status] if status else ServiceStatus))
    listed = found.holder_lines(narrowed, page_wanted(), now, broken, total) or abort(404)
    return show_service(
        "dashboard",
        wanted,
        counts=counts,
        statuses=WORST_FIRST,
        chosen=status,
        text=text,
        listed=listed,
        uptimes=uptimes([each.holding_id for each in listed.items], STAFF, now),
        overall=whole_service(service_id, STAFF, now),
        history=service_histories([service_id], STAFF, now)[service_id],
        forgotten=found.forgotten_by_service(now, service_id).get(service_id),
        level=lambda since: nag_level(since, now),
        ahead=found.windows_ahead(now, service_id=service_id),
        told_share=_told_of(service_id, now),
        rule=rule_in(this_month(now)).terms,
        now=_minute(now),
    )


def show_service(name: str, wanted: Service, **context: Any) -> Response:
    """Render one of the screens of a service, with the tabs above it."""
    return render(
        f"admin/services/{name}_service.html",
        f"admin/services/_{name}_service.html",
        service=wanted,
        may_set=may(access.signed_in().role, Permission.SERVICES_SET) and wanted.archived_at is None,
        **context,
    )


def service_or_404(service_id: int) -> Service:
    """The service with this id, archived or not."""
    return lists.service_by_id(service_id) or abort(404)


def status_wanted() -> ServiceStatus | None:
    """The status a list is narrowed to; 404 for what is none."""
    asked = request.args.get("status", "")
    if not asked:
        return None
    try:
        return ServiceStatus(asked)
    except ValueError:
        abort(404)


def nag_level(since: datetime, now: datetime) -> int:
    """How many of the times at which staff are asked have passed since then."""
    return sum(now - since >= each for each in NAG_AFTER)


def _told_of(service_id: int, now: datetime) -> Share:
    return share(told_since(now - LATELY, service_id), settings().targets, now)


def _narrowed(services: list[found.ServiceCounts], text: str, category: str, page: int) -> Listed:
    key = text_key(text)
    kept = [
        each
        for each in services
        if (not key or key in text_key(each.name) or key in text_key(each.category))
        and (not category or each.category == category)
    ]
    pages = max(1, -(-len(kept) // PER_PAGE))
    if page > pages:
        abort(404)
    return Listed(kept[(page - 1) * PER_PAGE : page * PER_PAGE], page, pages, len(kept))


def _minute(now: datetime) -> datetime:
    """The minute and not the moment, so that a screen on which nothing has changed is answered 304."""
    return now - timedelta(seconds=now.second, microseconds=now.microsecond)
