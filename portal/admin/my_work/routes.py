"""Somebody's own day: what is overdue, what is for today, and one item with its status, messages and photos."""

from typing import Any

from flask import Blueprint, Response, abort, flash, request
from sqlalchemy.orm.exc import StaleDataError

from portal import access, clock, events, writing
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.jobs.words import window_words
from portal.admin.work_sheet.routes import sheet_address
from portal.errors import RuleViolation, StaleEdit
from portal.files.queries import files_of
from portal.fragments import redirect_to, render
from portal.jobs import actions, queries
from portal.jobs.models import WorkItem
from portal.jobs.queries import items as reading
from portal.jobs.queries.outages import delays_of
from portal.jobs.rules import PLURALS, WorkKind, written_number
from portal.jobs.subjects import ref_of
from portal.language import reader_zone

blueprint = Blueprint("admin_my_work", __name__, url_prefix="/admin/my-work")
access.staff(blueprint, Permission.STAFF_ENTER)

BASE = "/admin/my-work"

STALE = "Somebody has changed it since you looked. This is how it stands now: look once more."


@blueprint.get("")
def my_work() -> Response:
    """What is open and given to the viewer: overdue, today, the next seven days, and not planned."""
    now = clock.utcnow()
    work = reading.own_work(access.signed_in().person_id, now, reader_zone())
    return _render("my_work", 200, work=work, delays=delays_of(work.items, STAFF, now))


@blueprint.get("/<number>")
def item(number: str) -> Response:
    """One item, whoever's: its facts, a button for each status, what was written, and a place for a photo."""
    return _item(_found(number))


@blueprint.post("/<number>/move")
def move(number: str) -> Response:
    """Move it to another status."""
    access.require(Permission.WORK_EDIT)
    found = _found(number)
    status, version = (_number_sent(name) for name in ("status", "version"))
    if status is None or version is None:
        abort(422)
    try:
        moved = actions.move(
            found,
            status,
            version=version,
            reason=request.form.get("reason", ""),
            by=access.actor(),
            now=clock.utcnow(),
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        return _item(_found(number), 422, refusal=violation.sentence, wanted=status)
    except (StaleEdit, StaleDataError):
        events.rollback()
        return _item(_found(number), 409, refusal=STALE)
    flash("The customer sees it." if moved.is_seen else "For the customer nothing changes.")
    return redirect_to(f"{BASE}/{number}")


def _item(found: WorkItem, status: int = 200, *, refusal: str = "", wanted: int | None = None) -> Response:
    now = clock.utcnow()
    table = queries.settings_of(found.kind).table
    return _render(
        "one",
        status,
        item=found,
        number=written_number(found.kind, found.number),
        table=table,
        delays=delays_of([found], STAFF, now).get(found.id, ()),
        is_overdue=reading.is_overdue(found, now),
        files=files_of(STAFF, ref_of(found)),
        refusal=refusal,
        wanted=wanted,
        needs_reason=table.by_id[found.status_id].category.is_terminal,
        whole=f"/admin/{PLURALS[found.kind]}/{written_number(found.kind, found.number)}",
        **writing.shown(ref_of(found)),
    )


def _found(number: str) -> WorkItem:
    wanted = (reading.item_for_staff(kind, number) for kind in WorkKind)
    return next((found for found in wanted if found), None) or abort(404)


def _number_sent(name: str) -> int | None:
    text = request.form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _render(name: str, status: int, **context: Any) -> Response:
    return render(
        f"admin/my_work/{name}.html",
        f"admin/my_work/_{name}.html",
        status,
        base=BASE,
        number_of=written_number,
        window_words=window_words,
        may_edit=may(access.signed_in().role, Permission.WORK_EDIT),
        work_sheet=sheet_address(),
        **context,
    )
