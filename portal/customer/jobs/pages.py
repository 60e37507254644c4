"""Lists and pages of work, the same for jobs and for quotes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import abort, request

from portal import access, clock, writing
from portal.customer.work_sheet.routes import sheet_address
from portal.domains.rules import Area
from portal.files.queries import files_of
from portal.jobs.actions import booking
from portal.jobs.queries.offers import offer_view
from portal.jobs.queries.public import SEARCHED, PublicItem, PublicLine, public_item, public_page
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import PLURALS, WorkKind
from portal.services.queries import ServiceLine, service_lines
from portal.services.queries.settings import view_of
from portal.services.rules import PROBLEMS, CauseKind


def list_view(kind: WorkKind) -> dict[str, Any]:
    """What the list of the viewer's company shows; 404 for a page there is not."""
    company_id, now = access.signed_in().company_id or 0, clock.utcnow()
    text = request.args.get("q", "").strip()[:SEARCHED]
    key = request.args.get("status", "")[:40]
    wanted = request.args.get("page", "1")
    page = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 7 else 0
    listed = public_page(kind, company_id, today_of(company_id, now), key=key, text=text, page=page)
    if listed is None:
        abort(404)
    return {
        "listed": listed,
        "text": text,
        "key": key,
        "address": f"/{PLURALS[kind]}",
        "delays": delays_of([*listed.waiting, *listed.items], company_id, now),
        "work_sheet": sheet_address() if listed.has_any else None,
    }


def item_of(kind: WorkKind, number: str) -> PublicItem:
    """The item of this number; 404 for what is missing, foreign, hidden, or written in another way."""
    company_id = access.signed_in().company_id or 0
    item = public_item(kind, company_id, number, today_of(company_id, clock.utcnow()))
    if item is None or item.line.number != number:
        abort(404)
    return item


def item_view(item: PublicItem, **conversation: Any) -> dict[str, Any]:
    """What the page of an item shows, with its conversation where Messages is open."""
    person, viewpoint = access.signed_in(), access.viewpoint()
    company_id = person.company_id or 0
    return {
        "item": item,
        "offer": offer_view(item, today_of(company_id, clock.utcnow())) if item.line.kind is WorkKind.QUOTE else None,
        "files": files_of(viewpoint, item.ref, with_messages=Area.MESSAGES in access.areas()),
        "delays": delays_of([item.line], company_id, clock.utcnow()),
        "topic": f"live item:{item.line.kind.value}:{item.line.number}",
        "may_cancel": not person.is_view_as and booking.may_cancel(item, person.person_id),
        "may_give": not person.is_view_as,
        "work_sheet": sheet_address(),
        **writing.shown(item.ref, **conversation),
    }


def delays_of(lines: Sequence[PublicLine], company_id: int, now: datetime) -> Mapping[int, ServiceLine]:
    """By holding, the outage that delays the work on it. Nothing is asked where no line depends on a holding."""
    holdings = {line.holding_id for line in lines if line.is_open and line.holding_id is not None}
    areas = access.areas()
    if not holdings or not {Area.STATUS, Area.SERVICES} & areas:
        return {}
    view = view_of(access.portal().id, company_id)
    services = service_lines(company_id, now, shows_incidents=Area.STATUS in areas, view=view)
    return {
        service.holding_id: service
        for service in services
        if service.holding_id in holdings and service.status in PROBLEMS and _may_be_told(service)
    }


def _may_be_told(service: ServiceLine) -> bool:
    """Whether there is a page that says why: of the incident, or of the service where staff state it."""
    return bool(service.incident) or (service.cause is CauseKind.STATED and Area.SERVICES in access.areas())
