"""`/admin/retention`: how long each kind of record is kept, what would go now, and what went last."""

from dataclasses import dataclass

from flask import Blueprint, Response, flash, request

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import StaffForm
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.records import retention
from portal.records.retention import COUNTED_AT_MOST, Kept
from portal.records.rules.retention import refusal

blueprint = Blueprint("admin_retention", __name__, url_prefix="/admin/retention")
access.staff(blueprint, Permission.RETENTION_EDIT)


@dataclass(frozen=True)
class Row:
    """One kind of record on the screen: what was typed, what is wrong with it, and how many would go."""

    kept: Kept
    typed: str
    problem: str
    goes: int
    is_shorter: bool


@blueprint.route("", methods=["GET", "POST"])
def rules() -> Response:
    """The settings; shortening one that has something to forget asks once more, with the number."""
    access.require_recent_password()
    form, now = StaffForm(), clock.utcnow()
    kept = retention.settings()
    if not form.is_submitted():
        return _page([_row(each, str(each.days), "") for each in kept])
    rows = [_typed(each) for each in kept]
    if not form.validate() or any(row.problem for row in rows):
        return _page(rows, 422)
    losing = [row for row in rows if row.is_shorter and row.goes]
    if losing and request.form.get("confirmed") != "yes":
        return _page(rows, 422, losing)
    changed = False
    for row in rows:
        name = row.kept.keeping.name
        version = _number(request.form.get(f"version-{name}", "")) or 0
        try:
            changed |= retention.change(name, int(row.typed), version=version, by=access.actor(), now=now)
        except RuleViolation as violation:
            events.rollback()
            return _page([_row(each, str(each.days), violation.sentence) for each in kept], 422)
    events.commit()
    flash("Saved. What is older goes with the next tidy-up." if changed else "Nothing was changed.")
    return redirect_to("/admin/retention")


def _typed(kept: Kept) -> Row:
    typed = request.form.get(f"days-{kept.keeping.name}", str(kept.days)).strip()[:20]
    return _row(kept, typed, refusal(_number(typed), kept.keeping.least_days))


def _row(kept: Kept, typed: str, problem: str) -> Row:
    days = kept.days if problem else int(typed)
    goes = retention.older_than(kept.keeping, days, clock.utcnow())
    return Row(kept, typed, problem, goes, not problem and days < kept.days)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _page(rows: list[Row], status: int = 200, losing: list[Row] | None = None) -> Response:
    return render(
        "admin/retention/retention.html",
        "admin/retention/_retention.html",
        status,
        rows=rows,
        losing=losing or [],
        most=COUNTED_AT_MOST,
    )
