"""What was set of services and what customers were told: of a service, a company, a holding."""

from typing import Any

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from portal import access, clock
from portal.accounts.models import Company
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.forms import page_wanted
from portal.admin.services.dashboard import service_or_404, show_service
from portal.admin.services.place import blueprint
from portal.catalogue.queries import lists
from portal.fragments import render
from portal.incidents.queries.availability import contract_of, this_month
from portal.services.queries import dashboard as found
from portal.services.queries.updates import updates_of
from portal.services.queries.uptime import uptimes


@blueprint.get("/<int:service_id>/history")
def service_history(service_id: int) -> Response:
    """What was set of a service, newest first."""
    wanted = service_or_404(service_id)
    return show_service("history", wanted, acts=updates_of(page_wanted(), service_id=service_id) or abort(404))


@blueprint.get("/companies/<int:company_id>")
def company(company_id: int) -> Response:
    """All services of a company at a glance, and what was set of them."""
    access.require(Permission.COMPANIES_READ)
    wanted, page = _company(company_id), page_wanted()
    if request.args.get("list") == "history":
        return _company_page(wanted, acts=updates_of(page, company_id=company_id) or abort(404))
    now = clock.utcnow()
    listed = found.holder_lines(found.Wanted(company_id=company_id), page, now, found.breakage(now)) or abort(404)
    ids = [each.holding_id for each in listed.items]
    return _company_page(
        wanted,
        listed=listed,
        uptimes=uptimes(ids, STAFF, now),
        rule=contract_of(company_id, this_month(now)).terms,
        set_all=url_for(".set_named", holding=ids),
    )


@blueprint.get("/holdings/<int:holding_id>")
def holding(holding_id: int) -> Response:
    """How one holding is, was, and what was set of it; one that is no longer held keeps its history."""
    access.require(Permission.COMPANIES_READ)
    now = clock.utcnow()
    wanted = lists.holding_by_id(holding_id) or abort(404)
    return render(
        "admin/services/history_holding.html",
        "admin/services/_history_holding.html",
        holding=wanted,
        line=found.holding_line(holding_id, now),
        uptime=uptimes([holding_id], STAFF, now).get(holding_id),
        acts=updates_of(page_wanted(), holding_id=holding_id) or abort(404),
        may_set=_may_set(),
    )


def _company(company_id: int) -> Company:
    return lists.company_by_id(company_id) or abort(404)


def _company_page(wanted: Company, **context: Any) -> Response:
    return render(
        "admin/services/history_company.html",
        "admin/services/_history_company.html",
        company=wanted,
        may_set=_may_set() and wanted.archived_at is None,
        **context,
    )


def _may_set() -> bool:
    return may(access.signed_in().role, Permission.SERVICES_SET)
