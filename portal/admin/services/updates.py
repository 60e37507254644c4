"""`/admin/services/updates`: one act of staff, whom it was for, how its mails go, and taking it back."""

from datetime import datetime

from flask import abort, flash, url_for
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.services.place import blueprint
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.incidents.queries import incident_for_staff
from portal.jobs.queries.items import item_for_staff
from portal.jobs.rules import WorkKind
from portal.notifications.queries import progress_of_many
from portal.services import actions
from portal.services.models import ServiceUpdate
from portal.services.queries.acts import broadcasts_for, targets_page, update_by_id
from portal.services.queries.undoing import why_not_undone
from portal.services.rules import BY_HAND, UNDO_WITHIN


@blueprint.get("/updates/<int:update_id>")
def update(update_id: int) -> Response:
    """One act: what was set, for whom, how its mails go, and taking it back while that is possible."""
    return _page(_update(update_id), clock.utcnow())


@blueprint.post("/updates/<int:update_id>/undo")
def undo(update_id: int) -> Response:
    """Take it back: everything is as it was, and nothing of it is mailed."""
    access.require(Permission.SERVICES_SET)
    now = clock.utcnow()
    try:
        actions.undo(_update(update_id), by=access.actor(), now=now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        return _page(_update(update_id), now, 422, refusal=violation.sentence)
    flash("Taken back. Everything is as it was, and nothing of it is mailed.")
    return redirect_to(url_for("admin_service_status.update", update_id=update_id))


def ticket_address(ticket: str) -> str | None:
    """Where the ticket of this number is looked at, if it is one of ours."""
    if not ticket:
        return None
    for kind, endpoint in ((WorkKind.JOB, "admin_jobs.item"), (WorkKind.QUOTE, "admin_quotes.item")):
        if item_for_staff(kind, ticket) is not None:
            return url_for(endpoint, number=ticket)
    return None


def _update(update_id: int) -> ServiceUpdate:
    return update_by_id(update_id) or abort(404)


def _page(made: ServiceUpdate, now: datetime, status: int = 200, *, refusal: str = "") -> Response:
    told = broadcasts_for(made.id)
    text = text_wanted()
    may_set = may(access.signed_in().role, Permission.SERVICES_SET)
    return render(
        "admin/services/update.html",
        "admin/services/_update.html",
        status,
        update=made,
        targets=targets_page(made.id, page_wanted(), text),
        text=text,
        told=told,
        progress=progress_of_many([each.broadcast for each in told], now) if told else {},
        is_undoable=may_set and why_not_undone(made, now) is None,
        undo_until=made.created_at + UNDO_WITHIN,
        is_by_hand=made.kind in BY_HAND,
        incident=incident_for_staff(made.incident_id) if made.incident_id else None,
        ticket=ticket_address(made.ticket),
        refusal=refusal,
        may_set=may_set,
        now=now,
    )
