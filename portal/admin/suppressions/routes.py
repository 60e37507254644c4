"""`/admin/suppressions`: whom nothing is sent to, why and how we know, stopping by hand and letting mails go again."""

from datetime import UTC, date, datetime, time, timedelta

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import choices_of, page_wanted, text_wanted
from portal.admin.suppressions.forms import LiftForm, StopForm
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.notifications import suppressed
from portal.notifications.actions import lift_suppression, suppress_by_hand
from portal.notifications.kinds import topics
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason

blueprint = Blueprint("admin_suppressions", __name__, url_prefix="/admin/suppressions")
access.staff(blueprint, Permission.COMPANIES_READ)

LIST = "/admin/suppressions"


@blueprint.get("")
def suppression_list() -> Response:
    """Every suppression, newest first, narrowed by text and by reason; all of it stays in the address."""
    return _list_page()


@blueprint.route("/new", methods=["GET", "POST"])
def stop() -> Response:
    """Stop mails to an address by hand."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    form = StopForm()
    form.scope.choices = choices_of(
        [(EVERY_TOPIC, "Every mail"), *((key, str(name)) for key, name in topics().items())]
    )
    if not form.is_submitted():
        form.address.data = request.args.get("address", "")[:254]
        return _stop_page(form)
    if not form.validate():
        return _stop_page(form, 422)
    try:
        suppress_by_hand(
            form.address.data or "",
            form.scope.data or "",
            detail=form.detail.data or "",
            # Until a day means until that day is over, wherever the reader is.
            until=_end_of(form.until.data) if form.until.data else None,
            by_person_id=access.signed_in().person_id,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _stop_page(form, 422)
    events.commit()
    flash("Nothing of that is sent there any more.")
    return redirect_to(LIST)


@blueprint.post("/<int:suppression_id>/lift")
def lift(suppression_id: int) -> Response:
    """Let mails go to the address again."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    suppression, form = suppressed.suppression_by_id(suppression_id) or abort(404), LiftForm()
    if not form.validate():
        return _list_page(form, suppression_id, 422)
    try:
        lift_suppression(suppression, why=form.why.data or "", by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        form.refuse(violation if violation.field else RuleViolation(violation.sentence, "why"))
        return _list_page(form, suppression_id, 422)
    events.commit()
    flash("Mails go there again.")
    return redirect_to(LIST)


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def _list_page(refused: LiftForm | None = None, refused_id: int | None = None, status: int = 200) -> Response:
    reason = request.args.get("reason", "")
    filters = suppressed.Filters(text_wanted(), SuppressionReason(reason) if reason in set(SuppressionReason) else None)
    now = clock.utcnow()
    return render(
        "admin/suppressions/suppression_list.html",
        "admin/suppressions/_suppression_list.html",
        status,
        stops=suppressed.suppressions(filters, page_wanted(), now),
        counts=suppressed.counts(now),
        filters=filters,
        reasons=list(SuppressionReason),
        may_edit=may(access.signed_in().role, Permission.SUPPRESSIONS_EDIT),
        refused=refused,
        refused_id=refused_id,
    )


def _stop_page(form: StopForm, status: int = 200) -> Response:
    return render("admin/suppressions/stop.html", "admin/suppressions/_stop.html", status, form=form)
