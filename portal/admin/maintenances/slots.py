"""`/admin/maintenances/requests`, `/freezes`: who asks for another slot, answering, and who wants nothing touched."""

from datetime import datetime

from flask import abort, flash, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done
from portal.admin.forms import page_wanted
from portal.admin.maintenances.forms import ACCEPT, AnswerForm
from portal.admin.maintenances.page import found_maintenance, only_read
from portal.admin.maintenances.place import blueprint, may_plan
from portal.admin.maintenances.possible import MOVE
from portal.admin.maintenances.preview import Preview, preview_of_step
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions.requests import answer_request
from portal.incidents.models import SlotRequest
from portal.incidents.queries.maintenance import open_requests, request_for_staff
from portal.incidents.queries.planning import freezes_page, planned_counted
from portal.incidents.rules.maintenance import SlotState, state_of
from portal.language import TIME_ZONES

AHEAD, UNDER_WAY, PAST = "ahead", "under-way", "past"
REQUESTS, FREEZES = "requests", "freezes"


def tabs(current: str, now: datetime) -> list[tuple[str, str, bool, int | None]]:
    """The lists of maintenance, as the strip above each of them: three queries."""
    counted = planned_counted(now)
    return [
        ("Ahead", url_for("admin_maintenances.index", show=AHEAD), current == AHEAD, counted.ahead),
        ("Under way", url_for("admin_maintenances.index", show=UNDER_WAY), current == UNDER_WAY, counted.under_way),
        ("Past", url_for("admin_maintenances.index", show=PAST), current == PAST, None),
        ("Slots asked for", url_for("admin_maintenances.requests"), current == REQUESTS, counted.requests),
        ("Freezes", url_for("admin_maintenances.freezes"), current == FREEZES, counted.freezes),
    ]


@blueprint.get("/freezes")
def freezes() -> Response:
    """When which company wants nothing touched."""
    now = clock.utcnow()
    return render(
        "admin/maintenances/freezes.html",
        "admin/maintenances/_freezes.html",
        found=freezes_page(page_wanted(), now),
        tabs=tabs(FREEZES, now),
        now=now,
    )


@blueprint.get("/requests")
def requests() -> Response:
    """The wishes nobody has answered, the oldest first."""
    found, now = open_requests(page_wanted()), clock.utcnow()
    if found is None:
        abort(404)
    return render(
        "admin/maintenances/requests.html",
        "admin/maintenances/_requests.html",
        found=found,
        tabs=tabs(REQUESTS, now),
        now=now,
    )


@blueprint.get("/requests/<int:request_id>")
def slot_request(request_id: int) -> Response:
    """One wish, and answering it."""
    return _page(_found(request_id), clock.utcnow())


@blueprint.post("/requests/<int:request_id>/preview")
def preview_answer_form(request_id: int) -> Response:
    """What the answer would do as its form stands."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    ask, form, now = _found(request_id), AnswerForm(), clock.utcnow()
    template = "admin/maintenances/answer_preview.html"
    return render(template, template, ask=ask, form=form, preview=_preview(ask, form, now), now=now)


@blueprint.post("/requests/<int:request_id>")
def answer(request_id: int) -> Response:
    """Accept it, which moves the maintenance, or decline it with a sentence."""
    access.require(Permission.INCIDENTS_PUBLISH)
    ask, form, now = _found(request_id), AnswerForm(), clock.utcnow()
    if not form.validate():
        return _page(ask, now, 422, form=form)
    is_accepted = form.answer.data == ACCEPT
    try:
        answer_request(
            ask,
            is_accepted=is_accepted,
            answer=form.body.data or "",
            times=form.window() if is_accepted else None,
            maintenance_version=form.maintenance_version.data or 0,
            notify=bool(form.notify.data),
            version=form.version.data or 0,
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
            idempotency_key=f"form:{form.key.data}",
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        field = "body" if violation.field == "answer" else violation.field
        form.refuse(RuleViolation(violation.sentence, field))
        return _page(_found(request_id), now, 422, form=form)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = _found(request_id)
        form.version.data, form.maintenance_version.data = newer.version, newer.maintenance.version
        return _page(newer, now, 409, form=form)
    flash(done("Accepted. It is moved." if is_accepted else "Declined."))
    return redirect_to(url_for("admin_maintenances.requests"))


def _page(ask: SlotRequest, now: datetime, status: int = 200, *, form: AnswerForm | None = None) -> Response:
    is_open = ask.state is SlotState.OPEN and may_plan()
    form = form or _fresh_form(ask)
    return render(
        "admin/maintenances/slot_request.html",
        "admin/maintenances/_slot_request.html",
        status,
        ask=ask,
        stand=state_of(ask.maintenance, now),
        can_answer=is_open,
        form=form,
        preview=_preview(ask, form, now) if is_open else None,
        is_stale=status == 409,
        now=now,
    )


def _preview(ask: SlotRequest, form: AnswerForm, now: datetime) -> Preview:
    return preview_of_step(found_maintenance(ask.maintenance_id), MOVE, form, now)


def _fresh_form(ask: SlotRequest) -> AnswerForm:
    """The answer as it opens: the window they propose; without one, the one there is."""
    form, work = AnswerForm(formdata=None), ask.maintenance
    form.version.data, form.maintenance_version.data, form.notify.data = ask.version, work.version, work.notify
    starts_at = ask.starts_at or work.starts_at
    ends_at = ask.ends_at or starts_at + (work.ends_at - work.starts_at)
    form.show(starts_at, ends_at, work.zone if work.zone in dict(TIME_ZONES) else "UTC")
    return form


def _found(request_id: int) -> SlotRequest:
    found = request_for_staff(request_id)
    if found is None:
        raise NotFound
    return found
