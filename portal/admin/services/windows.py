"""`/admin/services/windows`: scheduled service: what is ahead, under way, to be confirmed, and over."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.delays import done
from portal.admin.forms import page_wanted
from portal.admin.services.forms import WindowForm
from portal.admin.services.letter import Letter, Said, letter_of
from portal.admin.services.place import blueprint
from portal.admin.services.updates import ticket_address
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.rules.templates import blanks
from portal.language import TIME_ZONES
from portal.localtime import Reading, readings
from portal.notifications.arrival import Arrival
from portal.notifications.outlook import arrival
from portal.services import actions
from portal.services.mails import SERVICE_STATUS
from portal.services.models import ServiceUpdate, ServiceWindow
from portal.services.queries.acts import (
    Reached,
    Stand,
    holding_ids_in,
    holdings_by_id,
    reached_by_windows,
    stand_of,
    updates_of_window,
    window_by_id,
    window_holdings_page,
    windows_counted,
    windows_page,
)
from portal.services.queries.hearing import Audience, who_hears
from portal.services.queries.settings import settings
from portal.services.rules import ServiceStatus, UpdateKind, Wanted

STANDS = {
    Stand.AHEAD: "Ahead",
    Stand.UNDER_WAY: "Under way",
    Stand.UNCONFIRMED: "To be confirmed",
    Stand.PAST: "Over",
}

MOVE, CANCEL, FINISH = "move", "cancel", "finish"

POSSIBLE = {
    Stand.AHEAD: (MOVE, CANCEL),
    Stand.UNDER_WAY: (FINISH, MOVE, CANCEL),
    Stand.UNCONFIRMED: (FINISH, MOVE),
    Stand.PAST: (),
}
"""What can be done to a window, by where it stands; the first is what one most likely comes for."""

KINDS = {MOVE: UpdateKind.MOVED, CANCEL: UpdateKind.CANCELLED, FINISH: UpdateKind.FINISHED}


@dataclass(frozen=True)
class Step:
    """One thing to do to a window: its name in the address, the word of its tab, and the words of its button."""

    name: str
    word: str
    button: str
    sentence: str


@blueprint.get("/windows")
def windows() -> Response:
    """Scheduled service by where it stands."""
    now = clock.utcnow()
    wanted = request.args.get("show", Stand.AHEAD.value)
    if wanted not in list(Stand):
        abort(404)
    stand, counted = Stand(wanted), windows_counted(now)
    found = windows_page(stand, page_wanted(), now)
    return render(
        "admin/services/windows.html",
        "admin/services/_windows.html",
        windows=found,
        reached=reached_by_windows([each.id for each in found.items]),
        stand=stand,
        tabs=[
            (word, url_for("admin_service_status.windows", show=each.value), each is stand, counted.get(each))
            for each, word in STANDS.items()
        ],
        may_set=_may_set(),
        now=now,
    )


@blueprint.get("/windows/<int:window_id>")
def window(window_id: int) -> Response:
    """One window: what it is on, what was told of it, and moving, cancelling or finishing it."""
    found, now = _window(window_id), clock.utcnow()
    return _page(found, request.args.get("do", ""), now)


@blueprint.post("/windows/<int:window_id>/preview")
def preview_window(window_id: int) -> Response:
    """What doing it as the form stands would tell."""
    access.require(Permission.SERVICES_SET)
    events.rollback()
    read_only.set(True)
    found, now = _window(window_id), clock.utcnow()
    step, reached = _step(found, request.args.get("do", ""), now), reached_by_windows([found.id]).get(found.id)
    template = "admin/services/moving/preview.html"
    return render(
        template,
        template,
        window=found,
        step=step,
        notice=_notice(found, step, WindowForm(), reached, now) if step else None,
        now=now,
    )


@blueprint.post("/windows/<int:window_id>/move")
def move(window_id: int) -> Response:
    """Give it other times, or one under way a later end."""

    def act(found: ServiceWindow, form: WindowForm, said: dict[str, Any], now: datetime) -> ServiceUpdate | None:
        starts_at, ends_at, zone = _times(found, form, now)
        return actions.move_window(found, starts_at, ends_at, zone, form.notes.data or "", **said)

    return _do(window_id, MOVE, act)


@blueprint.post("/windows/<int:window_id>/cancel")
def cancel(window_id: int) -> Response:
    """Call it off."""
    return _do(
        window_id,
        CANCEL,
        lambda found, form, said, _now: actions.cancel_window(found, form.notes.data or "", **said),
    )


@blueprint.post("/windows/<int:window_id>/finish")
def finish(window_id: int) -> Response:
    """Say that the work is done."""
    return _do(
        window_id,
        FINISH,
        lambda found, form, said, _now: actions.finish_window(found, form.notes.data or "", **said),
    )


Act = Callable[[ServiceWindow, WindowForm, dict[str, Any], datetime], ServiceUpdate | None]


def _do(window_id: int, name: str, act: Act) -> Response:
    access.require(Permission.SERVICES_SET)
    form, now = WindowForm(), clock.utcnow()
    found = _window(window_id)
    if not form.validate():
        return _page(found, name, now, 422, form=form)
    step = _step(found, name, now)
    said = {
        "notify": bool(form.notify.data),
        "version": form.version.data or 0,
        "by": access.actor(),
        "now": now,
        "idempotency_key": f"form:{form.key.data}",
    }
    try:
        act(found, form, said, now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(_window(window_id), name, now, 422, form=form)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = _window(window_id)
        form.version.data = newer.version
        return _page(newer, name, now, 409, form=form)
    flash(done(step.sentence if step else "Done."))
    return redirect_to(url_for("admin_service_status.window", window_id=window_id))


def _times(found: ServiceWindow, form: WindowForm, now: datetime) -> tuple[datetime, datetime, str]:
    """The times that were typed; one under way keeps its start. RuleViolation for what is left empty."""
    zone = form.clock_of()
    starts_at = found.starts_at if found.starts_at <= now else form.moment("starts_at", zone)
    if starts_at is None:
        raise RuleViolation("Say when the work starts.", "starts_at")
    ends_at = form.moment("ends_at", zone)
    if ends_at is None:
        raise RuleViolation("Say when the work ends.", "ends_at")
    return starts_at, ends_at, zone.key


@dataclass(frozen=True)
class Notice:
    """What a step tells, as its preview shows it. `trouble` is what is still wrong with the form.

    It `is_quiet` where there is nothing new to tell: that what has ended by itself is done.
    """

    kind: UpdateKind
    starts_at: datetime
    ends_at: datetime
    notes: str
    notify: bool
    is_quiet: bool
    blanks: list[str]
    trouble: str = ""
    audience: Audience | None = None
    arrival: Arrival | None = None
    letter: Letter | None = None

    @property
    def people(self) -> int:
        """How many people are mailed."""
        return self.audience.people if self.audience else 0


def _notice(found: ServiceWindow, step: Step, form: WindowForm, reached: Reached | None, now: datetime) -> Notice:
    """What the step tells as the form stands. At most 18 queries."""
    notice = Notice(
        kind=KINDS[step.name],
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        notes=form.notes.data or "",
        notify=bool(form.notify.data),
        is_quiet=step.name == FINISH and stand_of(found, now) is Stand.UNCONFIRMED,
        blanks=blanks(form.notes.data or ""),
    )
    if step.name == MOVE:
        try:
            starts_at, ends_at, _zone = _times(found, form, now)
            notice = replace(notice, starts_at=starts_at, ends_at=ends_at)
        except RuleViolation as violation:
            notice = replace(notice, trouble=violation.sentence)
    return notice if notice.is_quiet or not notice.notify else _told(found, notice, reached, now)


def _told(found: ServiceWindow, notice: Notice, reached: Reached | None, now: datetime) -> Notice:
    """The notice with whom it reaches, and the mail as the first company reads it."""
    is_end = notice.kind is UpdateKind.FINISHED
    status = ServiceStatus.NORMAL if is_end else ServiceStatus.SCHEDULED
    audience = who_hears(holding_ids_in(found.id), Wanted(status), now)
    letter = None
    if reached:
        letter = letter_of(
            Said(
                status=status,
                services=reached.services,
                notes=notice.notes,
                ticket=found.ticket,
                starts_at=notice.starts_at,
                ends_at=now if is_end else notice.ends_at,
                kind=notice.kind,
                is_digest=len(reached.services) > settings().digest_over,
            ),
            audience,
            access.signed_in().time_zone,
        )
    when = arrival(audience.people, now, priority=SERVICE_STATUS.priority)
    return replace(notice, audience=audience, arrival=when, letter=letter)


def _steps(found: ServiceWindow, now: datetime) -> list[Step]:
    """What can be done to a window where it stands, and how that is called there."""
    stand = stand_of(found, now)
    return [_named(name, stand) for name in POSSIBLE[stand]]


def _named(name: str, stand: Stand) -> Step:
    match name, stand:
        case "move", Stand.AHEAD:
            return Step(name, "Move", "Move it", "Moved.")
        case "move", _:
            return Step(name, "Extend", "Move its end", "Its end is moved.")
        case "finish", Stand.UNCONFIRMED:
            return Step(name, "Confirm", "Confirm that the work is done", "Confirmed.")
        case "finish", _:
            return Step(name, "Finish", "Finish it now", "Finished. What was scheduled is as it was before.")
        case _:
            return Step(name, "Cancel", "Cancel it", "Cancelled.")


def _step(found: ServiceWindow, name: str, now: datetime) -> Step | None:
    """The step of this name, else the first that is possible; None where none is."""
    steps = _steps(found, now)
    return next((step for step in steps if step.name == name), steps[0] if steps else None)


def _fresh_form(found: ServiceWindow) -> WindowForm:
    """The form as it opens: the times there are, as a clock of their zone shows them, or of UTC if it is none now."""
    form = WindowForm(formdata=None)
    form.version.data, form.notify.data = found.version, found.notify
    form.zone.data = found.zone if found.zone in dict(TIME_ZONES) else "UTC"
    zone = form.clock_of()
    for name, moment in (("starts", found.starts_at), ("ends", found.ends_at)):
        local = moment.astimezone(zone)
        form[f"{name}_at"].data = local.replace(tzinfo=None, fold=0)
        if len(readings(local, zone)) > 1:
            form[f"{name}_reading"].data = (Reading.SECOND if local.fold else Reading.FIRST).value
    return form


def _page(
    found: ServiceWindow, name: str, now: datetime, status: int = 200, *, form: WindowForm | None = None
) -> Response:
    step = _step(found, name, now) if _may_set() else None
    form, reached = form or _fresh_form(found), reached_by_windows([found.id]).get(found.id)
    holdings = window_holdings_page(found.id, page_wanted())
    return render(
        "admin/services/window.html",
        "admin/services/_window.html",
        status,
        window=found,
        stand=stand_of(found, now),
        steps=_steps(found, now) if _may_set() else [],
        step=step,
        form=form,
        notice=_notice(found, step, form, reached, now) if step else None,
        is_stale=status == 409,
        reached=reached,
        holdings=holdings,
        held=holdings_by_id([each.holding_id for each in holdings.items]),
        updates=updates_of_window(found.id),
        reminder=settings().reminder,
        ticket=ticket_address(found.ticket),
        has_begun=found.starts_at <= now,
        now=now,
    )


def _window(window_id: int) -> ServiceWindow:
    return window_by_id(window_id) or abort(404)


def _may_set() -> bool:
    return may(access.signed_in().role, Permission.SERVICES_SET)
