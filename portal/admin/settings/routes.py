"""`/admin/settings/job-statuses` and `/admin/settings/quote-statuses`: names of each step, and what customers see."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, flash, make_response, render_template, request, url_for

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.settings.editing import Edit, changed_rows, code_of, fresh, read
from portal.admin.settings.forms import TableForm
from portal.admin.settings.words import save_words, told_differences
from portal.database import read_only
from portal.errors import StaleEdit
from portal.fragments import redirect_to, render
from portal.jobs import actions, queries
from portal.jobs.actions import TableRefused
from portal.jobs.queries import Settings
from portal.jobs.rules import (
    CATEGORY_WORDS,
    PALETTE,
    PLURALS,
    Problem,
    StatusRow,
    StatusTable,
    WorkKind,
    leading_to,
)

blueprint = Blueprint("admin_work_settings", __name__, url_prefix="/admin/settings")
access.staff(blueprint, Permission.WORK_SETTINGS_EDIT)

ENDPOINTS = {WorkKind.JOB: "job_statuses", WorkKind.QUOTE: "quote_statuses"}


@dataclass(frozen=True)
class RowView:
    """One row of the page: what is typed, what would become of it, and what is wrong with it."""

    row: StatusRow
    code: str
    is_changed: bool
    is_deleted: bool
    replacement_id: int | None
    leading: tuple[str, ...]
    problem: Problem | None


@blueprint.route("/job-statuses", methods=["GET", "POST"])
def job_statuses() -> Response:
    """The statuses of jobs."""
    return _statuses(WorkKind.JOB)


@blueprint.route("/quote-statuses", methods=["GET", "POST"])
def quote_statuses() -> Response:
    """The statuses of quotes."""
    return _statuses(WorkKind.QUOTE)


@blueprint.post("/job-statuses/preview")
def preview_jobs() -> Response:
    """What saving the statuses of jobs as they stand would do."""
    return _preview(WorkKind.JOB)


@blueprint.post("/quote-statuses/preview")
def preview_quotes() -> Response:
    """What saving the statuses of quotes as they stand would do."""
    return _preview(WorkKind.QUOTE)


def _preview(kind: WorkKind) -> Response:
    """Every badge and the words of the bar, in one answer. Nothing is written."""
    read_only.set(True)
    settings = queries.settings_of(kind)
    context = _context(kind, settings, read(kind, request.form, settings.table))
    response = make_response(render_template("admin/settings/preview.html", **context))
    response.headers["Cache-Control"] = "no-store"
    return response


def _statuses(kind: WorkKind) -> Response:
    settings = queries.settings_of(kind)
    if request.method != "POST":
        return _page(kind, settings, TableForm(formdata=None, version=settings.version), fresh(settings.table))
    form = TableForm()
    if not form.validate_on_submit():
        abort(422)
    edit = read(kind, request.form, settings.table)
    if form.do.data not in {"", "save", None}:
        read_only.set(True)
        return _page(kind, settings, form, edit.do(form.do.data), new=form.do.data == "add")
    return _save(kind, settings, form, edit)


def _save(kind: WorkKind, settings: Settings, form: TableForm, edit: Edit) -> Response:
    try:
        saved = actions.save_table(
            kind,
            edit.table.rows,
            version=form.version.data or 0,
            deleted=edit.deleted,
            tell=form.tell.data,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except TableRefused as refused:
        events.rollback()
        return _page(kind, settings, form, edit, 422, problems=refused.problems)
    except StaleEdit:
        events.rollback()
        return _stale(kind, form)
    words = save_words(kind, saved.items, tell=form.tell.data)
    events.commit()
    flash(words)
    return redirect_to(url_for(f"admin_work_settings.{ENDPOINTS[kind]}"))


def _stale(kind: WorkKind, form: TableForm) -> Response:
    """Both versions: what was typed stays in the form, and what somebody else saved in between stands above it."""
    settings = queries.settings_of(kind)
    opened = queries.known_revision(kind, form.version.data or 0)
    theirs = told_differences(StatusTable.from_json(kind, opened.statuses), settings.table) if opened else ()
    form.version.data = settings.version
    return _page(kind, settings, form, read(kind, request.form, settings.table), 409, theirs=theirs)


def _page(
    kind: WorkKind,
    settings: Settings,
    form: TableForm,
    edit: Edit,
    status: int = 200,
    *,
    problems: tuple[Problem, ...] = (),
    theirs: tuple[str, ...] | None = None,
    new: bool = False,
) -> Response:
    return render(
        "admin/settings/work_statuses.html",
        "admin/settings/_work_statuses.html",
        status,
        form=form,
        theirs=theirs,
        is_new=new,
        palette=PALETTE,
        categories=CATEGORY_WORDS,
        **_context(kind, settings, edit, problems if status == 422 else ()),
    )


def _context(kind: WorkKind, settings: Settings, edit: Edit, refused: tuple[Problem, ...] = ()) -> dict[str, Any]:
    found = queries.preview(settings.table, edit.normal, edit.deleted)
    changed = changed_rows(settings.table, edit)
    # A row that was just added is asked, and not yet reproached with what it does not say.
    told = [each for each in refused or found.problems if refused or not _is_blank(edit.table, each)]
    problems = {each.status_id: each for each in reversed((*told, *found.warnings))}
    views = [_view(row, edit, row.id in changed, problems.get(row.id)) for row in edit.table.rows]
    return {
        "kind": kind,
        "plural": PLURALS[kind],
        "address": url_for(f"admin_work_settings.{ENDPOINTS[kind]}"),
        "preview": found,
        "told": told,
        "changed": changed,
        "live": [view for view in views if not view.row.is_archived],
        "archived": [view for view in views if view.row.is_archived],
        "can_reset": edit.do("reset:all").table != edit.table,
    }


def _is_blank(table: StatusTable, problem: Problem) -> bool:
    row = table.by_id.get(problem.status_id or 0)
    return row is not None and row.id < 0 and not row.name.strip()


def _view(row: StatusRow, edit: Edit, is_changed: bool, problem: Problem | None) -> RowView:
    return RowView(
        row=row,
        code=code_of(row),
        is_changed=is_changed,
        is_deleted=row.id in edit.deleted,
        replacement_id=edit.deleted.get(row.id),
        leading=tuple(each.name for each in leading_to(edit.table, row.id)),
        problem=problem,
    )
