"""`/admin/maintenances`: what is ahead, under way and past, planning it, and the page of one."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import abort, flash, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done, saved
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.maintenances.forms import PlanForm, SeriesForm
from portal.admin.maintenances.letter import letter_of_plan
from portal.admin.maintenances.page import found_maintenance, only_read, page
from portal.admin.maintenances.place import blueprint, may_plan
from portal.admin.maintenances.preview import Preview, preview_of_plan
from portal.admin.maintenances.slots import AHEAD, PAST, UNDER_WAY, tabs
from portal.catalogue.queries import all_components
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions.series import plan_series
from portal.incidents.models import Maintenance
from portal.incidents.queries.maintenance import MaintenanceFilters, maintenance_page
from portal.incidents.queries.planning import announced_text, announced_texts, open_requests_counted
from portal.incidents.queries.whole import Which
from portal.incidents.rules import MaintenanceState, Visibility
from portal.incidents.rules.maintenance import state_of
from portal.language import TIME_ZONES

SHOWN = {
    AHEAD: (MaintenanceFilters(which=Which.AHEAD), (MaintenanceState.SCHEDULED,)),
    UNDER_WAY: (
        MaintenanceFilters(which=Which.UNDER_WAY),
        (MaintenanceState.IN_PROGRESS, MaintenanceState.VERIFYING),
    ),
    PAST: (MaintenanceFilters(is_over=True), (MaintenanceState.COMPLETED, MaintenanceState.CANCELLED)),
}
"""What a list shows, and the states that occur in it."""

AT_NIGHT = timedelta(hours=2)
"""At which time of the next day a new window begins unless somebody says otherwise: when it disturbs the fewest."""

LASTS = timedelta(hours=2)


@blueprint.get("")
def index() -> Response:
    """Maintenance by where it stands, a page at a time."""
    now = clock.utcnow()
    show = request.args.get("show", AHEAD)
    if show not in SHOWN:
        abort(404)
    every, states = SHOWN[show]
    filters = _filters(every)
    found = maintenance_page(filters, page_wanted(), now)
    if found is None:
        abort(404)
    return render(
        "admin/maintenances/maintenances.html",
        "admin/maintenances/_maintenances.html",
        found=found,
        stands={work.id: state_of(work, now) for work in found.items},
        requests=open_requests_counted([work.id for work in found.items]),
        filters=filters,
        is_filtered=filters != every,
        show=show,
        states=states,
        tabs=tabs(show, now),
        components=all_components(),
        may_plan=may_plan(),
        now=now,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def plan() -> Response:
    """Plan maintenance, once or repeating. `title` and `component` in the address fill the form in."""
    access.require(Permission.INCIDENTS_PUBLISH)
    form, now = SeriesForm(), clock.utcnow()
    if not form.is_submitted():
        _begin(form, now)
        return _plan_page(form, now)
    if not form.validate():
        return _plan_page(form, now, 422)
    said: dict[str, Any] = {
        "by": access.actor(),
        "author_id": access.signed_in().person_id,
        "now": now,
        "idempotency_key": f"form:{form.key.data}",
    }
    try:
        if form.repeats:
            series_id = plan_series(form.series_plan(), **said).id
            address = url_for("admin_maintenances.series", series_id=series_id)
        else:
            wanted = form.plan()
            act = acts.backfill if wanted.ends_at <= now else acts.plan
            address = url_for("admin_maintenances.maintenance", maintenance_id=act(wanted, **said).id)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _plan_page(form, now, 422)
    flash(done("Planned." if form.visibility.data == Visibility.PUBLIC else "Planned for staff only."))
    return redirect_to(address)


@blueprint.post("/preview")
def preview_plan() -> Response:
    """What planning it as the form stands would do."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    form = SeriesForm()
    return preview_answer(form, preview_of_plan(form, clock.utcnow(), is_new=True))


@blueprint.post("/mail")
def mail_of_plan() -> Response:
    """The mail that planning it as the form stands would send, as one of its readers gets it."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    form, now = SeriesForm(), clock.utcnow()
    preview = preview_of_plan(form, now, is_new=True)
    template = "admin/incidents/letter.html"
    return render(template, template, letter=letter_of_plan(form, preview, now))


@blueprint.get("/<int:maintenance_id>")
def maintenance(maintenance_id: int) -> Response:
    """One maintenance: where it stands, what can be done to it, and what was told of it."""
    return page(found_maintenance(maintenance_id), request.args.get("do", ""), clock.utcnow())


@blueprint.route("/<int:maintenance_id>/edit", methods=["GET", "POST"])
def edit(maintenance_id: int) -> Response:
    """Correct what is said of it, and who sees it; its times are moved, not edited."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, form, now = found_maintenance(maintenance_id), PlanForm(), clock.utcnow()
    form.show(found.starts_at, found.ends_at, found.zone if found.zone in dict(TIME_ZONES) else "UTC")
    if not form.is_submitted():
        form.show_words(found, announced_text(found), announced_texts(found))
        return _edit_page(found, form, now)
    if not form.validate():
        return _edit_page(found, form, now, 422)
    try:
        wanted = form.plan()
        called_off = acts.edit(
            found,
            title=wanted.title,
            body=wanted.body,
            translations=wanted.translations,
            component_ids=wanted.component_ids,
            impact=wanted.impact,
            visibility=wanted.visibility,
            audience=wanted.audience,
            notify=wanted.notify,
            reminders=wanted.reminders,
            starts_itself=wanted.starts_itself,
            ends_itself=wanted.ends_itself,
            owner_id=found.owner_id,
            version=form.version.data or 0,
            by=access.actor(),
            now=now,
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _edit_page(found_maintenance(maintenance_id), form, now, 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = found_maintenance(maintenance_id)
        form.version.data = newer.version
        return _edit_page(newer, form, now, 409)
    flash(saved(called_off))
    return redirect_to(url_for("admin_maintenances.maintenance", maintenance_id=maintenance_id))


@blueprint.post("/<int:maintenance_id>/edit/preview")
def preview_edit(maintenance_id: int) -> Response:
    """What it looks like as the form stands."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    found, form, now = found_maintenance(maintenance_id), PlanForm(), clock.utcnow()
    form.show(found.starts_at, found.ends_at, found.zone if found.zone in dict(TIME_ZONES) else "UTC")
    return preview_answer(form, preview_of_plan(form, now, is_new=False, but=found.id), maintenance=found)


def preview_answer(form: PlanForm, preview: Preview, **context: Any) -> Response:
    """The parts of a page of a form that is being filled in."""
    template = "admin/maintenances/preview.html"
    return render(template, template, form=form, preview=preview, **context)


def _plan_page(form: SeriesForm, now: datetime, status: int = 200) -> Response:
    preview = preview_of_plan(form, now, is_new=True)
    return render(
        "admin/maintenances/plan.html",
        "admin/maintenances/_plan_form.html",
        status,
        form=form,
        choices=all_components(),
        asks_window=True,
        action=url_for("admin_maintenances.plan"),
        preview_address=url_for("admin_maintenances.preview_plan"),
        back=url_for("admin_maintenances.index"),
        preview=preview,
        letter_address=url_for("admin_maintenances.mail_of_plan"),
        letter=letter_of_plan(form, preview, now),
        now=now,
    )


def _edit_page(found: Maintenance, form: PlanForm, now: datetime, status: int = 200) -> Response:
    return render(
        "admin/maintenances/plan.html",
        "admin/maintenances/_plan_form.html",
        status,
        form=form,
        maintenance=found,
        stand=state_of(found, now),
        is_stale=status == 409,
        choices=all_components(),
        asks_window=False,
        action=url_for("admin_maintenances.edit", maintenance_id=found.id),
        preview_address=url_for("admin_maintenances.preview_edit", maintenance_id=found.id),
        back=url_for("admin_maintenances.maintenance", maintenance_id=found.id),
        preview=preview_of_plan(form, now, is_new=False, but=found.id),
        now=now,
    )


def _begin(form: SeriesForm, now: datetime) -> None:
    """A form as it opens: what the address says, and the next night in the reader's zone."""
    zone_name = access.signed_in().time_zone
    zone_name = zone_name if zone_name in dict(TIME_ZONES) else "UTC"
    zone = ZoneInfo(zone_name)
    tomorrow = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(days=1)
    form.zone.data, form.starts_at.data, form.ends_at.data = zone_name, tomorrow + AT_NIGHT, tomorrow + AT_NIGHT + LASTS
    form.title.data = request.args.get("title", "")[:200]
    wanted = request.args.get("component", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        form.components.data = [int(wanted)]


def _filters(every: MaintenanceFilters) -> MaintenanceFilters:
    """The filters of the address on top of those of the list; what is not known narrows nothing."""
    given = request.args
    component = given.get("component", "")
    return replace(
        every,
        text=text_wanted(),
        state=MaintenanceState(given["state"]) if given.get("state") in list(MaintenanceState) else None,
        component_id=int(component) if component.isascii() and component.isdigit() and len(component) < 10 else None,
    )
