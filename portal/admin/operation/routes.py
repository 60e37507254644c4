"""`/admin/operation`: how each part fares and what to do about it, and the switch for all mail.

The notice that sending is paused, and its page `/admin/sending`, are for everybody of staff.
"""

from datetime import datetime
from typing import Any, cast

from flask import Blueprint, Response, current_app, flash, g, request, url_for

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.notifications import outbound
from portal.notifications.queries import Pause, pause_of_all
from portal.operation.health import look
from portal.operation.queries import late_now
from portal.operation.rules import Late
from portal.operation.watch import patience

blueprint = Blueprint("admin_operation", __name__, url_prefix="/admin/operation")
access.staff(blueprint, Permission.OPERATION_STEER)

notice = Blueprint("admin_sending", __name__, url_prefix="/admin/sending")
access.staff(notice, Permission.STAFF_ENTER)


@blueprint.get("")
def operation() -> Response:
    """Every part in words. A fixed number of queries."""
    return _screen(clock.utcnow())


@blueprint.post("/pause")
def pause() -> Response:
    """Send nothing any more."""
    name = access.signed_in().name
    outbound.pause_all(f"Paused by {name}.", by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Sending is paused. What a server already has will still be answered.")
    return redirect_to(url_for("admin_operation.operation"))


@blueprint.post("/resume")
def resume() -> Response:
    """Let this copy send, if it still is as the person saw it who said so."""
    version = request.form.get("version", type=int)
    if version is None:
        raise RuleViolation("Reload the page and say it once more.")
    outbound.resume_all(by=access.actor(), now=clock.utcnow(), version=version)
    events.commit()
    flash("Sending goes on.")
    return redirect_to(url_for("admin_operation.operation"))


@notice.get("")
def sending() -> Response:
    """What the notice on every staff page says, on a page of its own; htmx gets the notice."""
    return render("admin/operation/sending.html", "admin/operation/_sending.html")


@notice.app_context_processor
def offer_pause() -> dict[str, Any]:
    """`sending_pause()`, `late_mails()`, `redis_away()` and `may_resume()` for staff pages: read when asked, once a
    request."""
    return {
        "sending_pause": _pause,
        "late_mails": _late,
        "redis_away": events.bell().is_away,
        "may_resume": _may_resume,
    }


def _pause() -> Pause | None:
    if "sending_pause" not in g:
        g.sending_pause = pause_of_all()
    return cast(Pause | None, g.sending_pause)


def _late() -> Late | None:
    """That mails of incidents are late, for those who can act: who steers broadcasts or the installation."""
    if "late_mails" not in g:
        g.late_mails = late_now(clock.utcnow(), patience()) if _acts() else None
    return cast(Late | None, g.late_mails)


def _acts() -> bool:
    person = access.viewer()
    return person is not None and (
        may(person.role, Permission.BROADCASTS_STEER) or may(person.role, Permission.OPERATION_STEER)
    )


def notice_knows(pause: Pause | None, found: Late | None) -> None:
    """Tell the notice what a page has found out for itself, so that it is not looked up again for the same answer."""
    g.sending_pause = pause
    g.late_mails = found if _acts() else None


def _may_resume() -> bool:
    person = access.viewer()
    return person is not None and may(person.role, Permission.OPERATION_STEER)


def _screen(now: datetime) -> Response:
    return render(
        "admin/operation/operation.html",
        "admin/operation/_operation.html",
        health=look(current_app.config["SETTINGS"], now),
        outbound=outbound.outbound(),
        # The minute and not the moment, so that a screen on which nothing has changed is answered 304.
        now=now.replace(second=0, microsecond=0),
    )
