"""The page of one maintenance, as its own address and every step that is refused answer it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import request
from werkzeug.wrappers import Response

from portal import events
from portal.admin.maintenances.forms import StepForm
from portal.admin.maintenances.letter import letter_of_step
from portal.admin.maintenances.place import may_plan
from portal.admin.maintenances.possible import STEPS, step_named
from portal.admin.maintenances.preview import preview_of_step
from portal.admin.maintenances.repeating import in_words
from portal.database import read_only
from portal.errors import NotFound
from portal.fragments import render, wants_fragment
from portal.incidents.actions.announcing import notify_key
from portal.incidents.models import Maintenance
from portal.incidents.queries.maintenance import maintenance_for_staff, requests_of
from portal.incidents.queries.planning import broadcasts_with
from portal.incidents.rules.maintenance import Notice, state_of
from portal.language import TIME_ZONES
from portal.notifications.queries import progress_of_many

NOTICES = {
    Notice.REMINDED: "Reminded",
    Notice.MOVED: "Moved",
    Notice.EXTENDED: "Extended",
}
"""What an update of this kind did, where its state does not say it."""


def found_maintenance(maintenance_id: int) -> Maintenance:
    """The maintenance of this id; 404 where there is none."""
    found = maintenance_for_staff(maintenance_id)
    if found is None:
        raise NotFound
    return found


def only_read() -> None:
    """A preview comes as a POST, because a text is too long for an address, but writes nothing: let go of the lock."""
    events.rollback()
    read_only.set(True)


def page(found: Maintenance, name: str, now: datetime, status: int = 200, *, form: StepForm | None = None) -> Response:
    """The page with the form of this step, else of the first that is possible."""
    stand = state_of(found, now)
    step = step_named(stand, name) if may_plan() else None
    form = form or fresh_form(found)
    keys = {notify_key(update.id): update.id for update in found.updates}
    broadcasts = {keys[each.idempotency_key]: each for each in broadcasts_with(keys)}
    part = request.args.get("part", "timeline")
    preview = preview_of_step(found, step, form, now) if step else None
    is_whole = not wants_fragment()
    fragment = {"head": "_head"}.get(part, "_timeline") if not is_whole and request.method == "GET" else "_step"
    return render(
        "admin/maintenances/maintenance.html",
        f"admin/maintenances/{fragment}.html",
        status,
        maintenance=found,
        stand=stand,
        step=step,
        steps=STEPS[stand],
        form=form,
        preview=preview,
        letter=letter_of_step(found, step, form, preview, now) if step and preview and is_whole else None,
        is_stale=status == 409,
        broadcasts=broadcasts,
        progress=progress_of_many(list(broadcasts.values()), now) if broadcasts else {},
        requests=requests_of(found.id),
        series=found.series,
        rule_words=in_words(found.series.rule, ZoneInfo(found.series.zone)) if found.series else "",
        remind_at=remind_at(found, now),
        notices=NOTICES,
        may_plan=may_plan(),
        now=now,
    )


def fresh_form(found: Maintenance) -> StepForm:
    """The form of a step as it opens: the times there are."""
    form = StepForm(formdata=None)
    form.version.data, form.notify.data = found.version, found.notify
    form.show(found.starts_at, found.ends_at, found.zone if found.zone in dict(TIME_ZONES) else "UTC")
    return form


def remind_at(found: Maintenance, now: datetime) -> list[datetime]:
    """When its reminders are still due."""
    moments = [found.starts_at - timedelta(minutes=each) for each in found.reminders[found.reminded :]]
    return [at for at in moments if at > now]
