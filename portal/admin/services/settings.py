"""`/admin/settings/services`: how soon customers are to be told, in how many mails, and how long ahead of a window."""

from datetime import timedelta

from flask import Blueprint, flash
from werkzeug.wrappers import Response
from wtforms import IntegerField
from wtforms.validators import InputRequired, NumberRange

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import VersionedForm
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.services.actions.settings import change_settings
from portal.services.queries.settings import Usual, settings
from portal.services.rules import NAG_AFTER, ServiceStatus

blueprint = Blueprint("admin_service_settings", __name__, url_prefix="/admin/settings/services")
access.staff(blueprint, Permission.SERVICES_SET)

PAGE = "/admin/settings/services"
STALE = "Somebody else changed these settings in the meantime. Yours stand below; save again to put them over theirs."

UNITS = {
    ServiceStatus.DOWN: timedelta(minutes=1),
    ServiceStatus.INTERMITTENT: timedelta(minutes=1),
    ServiceStatus.NORMAL: timedelta(minutes=1),
    ServiceStatus.SCHEDULED: timedelta(hours=1),
}
"""In what each target is typed."""


MOST = 100_000
"""A number beyond is a slip of the keyboard, and no span of time any more."""


def _number(label: str) -> IntegerField:
    between = NumberRange(0, MOST, f"Type a whole number up to {MOST:,}.")
    return IntegerField(label, validators=[InputRequired("Type a whole number."), between])


class SettingsForm(VersionedForm):
    """The targets by status, and the two numbers that decide how mails are put together and when."""

    system_is_down = _number("System is down: minutes after it began")
    intermittent_problems = _number("Intermittent problems: minutes after they began")
    operating_normally = _number("Recovery: minutes after it was over")
    scheduled_service = _number("Scheduled service: hours ahead of the window")
    reminder = _number("Remind of scheduled service: hours ahead")
    digest_over = _number("One mail instead of several: from more than so many services")

    @property
    def targets(self) -> dict[ServiceStatus, timedelta]:
        """What is typed, by status."""
        return {status: (self[status.value].data or 0) * unit for status, unit in UNITS.items()}


@blueprint.route("", methods=["GET", "POST"])
def service_settings() -> Response:
    """The settings, and saving them: what is told from now on follows them."""
    usual = settings()
    form = SettingsForm(data=_typed(usual))
    if not form.validate_on_submit():
        return _page(form, 422 if form.is_submitted() else 200)
    try:
        change_settings(
            digest_over=form.digest_over.data or 0,
            reminder=timedelta(hours=form.reminder.data or 0),
            targets=form.targets,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, 422)
    except StaleEdit:
        events.rollback()
        form.form_errors.append(STALE)
        form.version.data = settings().version
        return _page(form, 409)
    events.commit()
    flash("Saved. What is told from now on follows it; timeliness is judged by it at once.")
    return redirect_to(PAGE)


def _typed(usual: Usual) -> dict[str, int]:
    return {
        "version": usual.version,
        "digest_over": usual.digest_over,
        "reminder": round(usual.reminder / timedelta(hours=1)),
        **{status.value: round(usual.targets[status] / unit) for status, unit in UNITS.items()},
    }


def _page(form: SettingsForm, status: int) -> Response:
    return render(
        "admin/services/service_settings.html",
        "admin/services/_service_settings.html",
        status,
        form=form,
        nags=[each // timedelta(hours=1) for each in NAG_AFTER],
    )
