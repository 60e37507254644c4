"""`/admin/maintenances/series`: maintenance that repeats: its rule, what of it is ahead, changing and stopping it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done, saved
from portal.admin.forms import page_wanted
from portal.admin.maintenances.forms import SeriesForm, StopForm
from portal.admin.maintenances.page import only_read
from portal.admin.maintenances.place import blueprint, may_plan
from portal.admin.maintenances.preview import preview_of_plan
from portal.admin.maintenances.repeating import in_words, rhythm_of
from portal.catalogue.queries import all_components
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions import series as acts
from portal.incidents.models import MaintenanceSeries
from portal.incidents.queries.maintenance import MaintenanceFilters, maintenance_page, series_for_staff
from portal.incidents.queries.whole import Which
from portal.incidents.rules.maintenance import state_of
from portal.incidents.rules.recurrence import moment_of


@blueprint.get("/series/<int:series_id>")
def series(series_id: int) -> Response:
    """How it repeats, what of it is ahead, and stopping it."""
    return _page(_found(series_id), clock.utcnow())


@blueprint.route("/series/<int:series_id>/edit", methods=["GET", "POST"])
def edit_series(series_id: int) -> Response:
    """Change it, and with it what is ahead and nobody has touched."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, form, now = _found(series_id), SeriesForm(), clock.utcnow()
    if not form.is_submitted():
        _fill_in(form, found)
        return _edit_page(found, form, now)
    if not form.validate():
        return _edit_page(found, form, now, 422)
    try:
        plan = form.series_plan()
        version = form.version.data or 0
        called_off = acts.edit_series(found, plan, notify=plan.notify, version=version, by=access.actor(), now=now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _edit_page(_found(series_id), form, now, 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = _found(series_id)
        form.version.data = newer.version
        return _edit_page(newer, form, now, 409)
    flash(done(saved(called_off, "Saved. What is ahead of it follows.")))
    return redirect_to(url_for("admin_maintenances.series", series_id=series_id))


@blueprint.post("/series/<int:series_id>/edit/preview")
def preview_series(series_id: int) -> Response:
    """What the series would be as the form stands."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    found, form, now = _found(series_id), SeriesForm(), clock.utcnow()
    template = "admin/maintenances/preview.html"
    preview = preview_of_plan(form, now, is_new=False)
    return render(template, template, form=form, preview=preview, series=found)


@blueprint.post("/series/<int:series_id>/stop")
def stop_series(series_id: int) -> Response:
    """End it: what is ahead of it and nobody has touched is cancelled."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, form, now = _found(series_id), StopForm(), clock.utcnow()
    if not form.validate():
        return _page(found, now, 422, form=form)
    try:
        acts.stop_series(
            found,
            form.body.data or "",
            notify=bool(form.notify.data),
            version=form.version.data or 0,
            by=access.actor(),
            now=now,
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(_found(series_id), now, 422, form=form)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = _found(series_id)
        form.version.data = newer.version
        return _page(newer, now, 409, form=form)
    flash(done("The series is stopped."))
    return redirect_to(url_for("admin_maintenances.series", series_id=series_id))


def _page(found: MaintenanceSeries, now: datetime, status: int = 200, *, form: StopForm | None = None) -> Response:
    occurrences = maintenance_page(MaintenanceFilters(which=Which.NOT_OVER, series_id=found.id), page_wanted(), now)
    if occurrences is None:
        raise NotFound
    if form is None:
        form = StopForm(formdata=None)
        form.version.data, form.notify.data = found.version, found.notify
    return render(
        "admin/maintenances/series.html",
        "admin/maintenances/_series.html",
        status,
        series=found,
        form=form,
        is_stale=status == 409,
        found=occurrences,
        stands={work.id: state_of(work, now) for work in occurrences.items},
        rule_words=in_words(found.rule, ZoneInfo(found.zone)),
        lasts=timedelta(minutes=found.duration),
        first_time=_first(found),
        may_plan=may_plan(),
        now=now,
    )


def _edit_page(found: MaintenanceSeries, form: SeriesForm, now: datetime, status: int = 200) -> Response:
    return render(
        "admin/maintenances/plan.html",
        "admin/maintenances/_plan_form.html",
        status,
        form=form,
        series=found,
        is_stale=status == 409,
        choices=all_components(),
        asks_window=True,
        action=url_for("admin_maintenances.edit_series", series_id=found.id),
        preview_address=url_for("admin_maintenances.preview_series", series_id=found.id),
        back=url_for("admin_maintenances.series", series_id=found.id),
        preview=preview_of_plan(form, now, is_new=False),
        now=now,
    )


def _fill_in(form: SeriesForm, found: MaintenanceSeries) -> None:
    form.show_words(found, found.body, found.bodies)
    starts_at = moment_of(_first(found), found.zone)
    form.show(starts_at, starts_at + timedelta(minutes=found.duration), found.zone)
    rhythm = rhythm_of(found.rule, ZoneInfo(found.zone))
    if rhythm:
        form.show_rhythm(rhythm)


def _first(found: MaintenanceSeries) -> datetime:
    return datetime.fromisoformat(found.starts_on)


def _found(series_id: int) -> MaintenanceSeries:
    found = series_for_staff(series_id)
    if found is None:
        raise NotFound
    return found
