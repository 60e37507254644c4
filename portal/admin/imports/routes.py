"""`/admin/imports`: bringing in companies, people, components, services and holdings from files."""

from datetime import datetime

from flask import Blueprint, Response, abort, flash, request

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import RowForm, page_wanted
from portal.admin.imports.forms import ApplyForm, ColumnsForm, NewImportForm, columns_form, place_name
from portal.catalogue.imports import companies_of
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.jobs.queries.items import numbers_of
from portal.jobs.rules import PLURALS
from portal.menus import address_in_menu
from portal.own_account import hold_no_lock, write_from_here
from portal.records import actions, queries
from portal.records.kinds import ImportKind, all_kinds, kind_named
from portal.records.models import ImportRun
from portal.records.rules import ImportState, Verdict
from portal.records.rules.files import MOST_BYTES, MOST_ROWS, TooBig, Unreadable, line_of, refused_lines, shape_of
from portal.records.rules.judging import seconds_left

blueprint = Blueprint("admin_imports", __name__, url_prefix="/admin/imports")
access.staff(blueprint, Permission.RECORDS_IMPORT)

FORM_BYTES = 20_000
"""What a form with a file has beside the file."""

access.takes_uploads(
    "admin_imports.new_import",
    Permission.RECORDS_IMPORT,
    most_bytes=MOST_BYTES + FORM_BYTES,
    sentence=f"A file has at most {MOST_BYTES // 1_000_000} MB. Split it and import one part after the other: "
    "what came in before is found again.",
)

LIST = "/admin/imports"
SCREENS = {
    "companies": ("admin_companies", "/admin/companies/{}"),
    "people": ("admin_people", "/admin/people/{}"),
    "components": ("admin_components", "/admin/catalogue/components/{}"),
    "services": ("admin_services", "/admin/catalogue/services/{}"),
    "holdings": ("admin_companies", "/admin/companies/{}"),
    "jobs": ("admin_jobs", "/admin/jobs/{}"),
    "quotes": ("admin_quotes", "/admin/quotes/{}"),
}
"""Where each kind is found afterwards: its list, and the address of one by its id, or of work by its number."""

WORK = {plural: kind for kind, plural in PLURALS.items()}


@blueprint.get("")
def imports() -> Response:
    """Every import, newest first: what, who, when, and what came of it."""
    runs = queries.runs_page(page_wanted())
    return render(
        "admin/imports/imports.html",
        "admin/imports/_imports.html",
        runs=runs,
        kinds={kind.name: kind for kind in all_kinds()},
        offered=all_kinds(),
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_import() -> Response:
    """Choose what it is and a file."""
    form = NewImportForm(kind=request.args.get("kind"))
    if not form.validate_on_submit():
        return _new(form, 422 if form.is_submitted() else 200)
    filename, content = "", b""
    if sent := form.file.data:
        filename, content = sent.filename or "", sent.read(MOST_BYTES + 1)
        sent.close()
    # A file takes seconds to read, and nobody who writes meanwhile may wait for it.
    hold_no_lock()
    try:
        shape = shape_of(content) if content else None
        write_from_here()
        run = actions.begin(form.kind.data or "", filename, content, by=access.actor(), now=clock.utcnow(), shape=shape)
    except RuleViolation as violation:
        form.refuse(violation)
        return _new(form, 422)
    except Unreadable as problem:
        form.refuse(RuleViolation(problem.sentence, "file"))
        return _new(form, 413 if isinstance(problem, TooBig) else 422)
    address = f"{LIST}/{run.id}"
    events.commit()
    return redirect_to(address)


@blueprint.get("/template/<kind_name>.csv")
def template(kind_name: str) -> Response:
    """A file with the columns of a kind and two rows to overwrite."""
    try:
        kind = kind_named(kind_name)
    except KeyError:
        abort(404)
    rows = [[column.label for column in kind.columns]]
    rows += [[column.examples[place] for column in kind.columns] for place in (0, 1)]
    return _download("".join(line_of(row) for row in rows), f"{kind.name}.csv")


@blueprint.get("/<int:run_id>")
def one_import(run_id: int) -> Response:
    """One import as it stands: its columns, its progress, its dry run, or what came of it."""
    run = _found(run_id)
    return _shown(run, columns_form(kind_named(run.kind), run))


@blueprint.post("/<int:run_id>/columns")
def choose_columns(run_id: int) -> Response:
    """Make a dry run with these columns."""
    run = _found(run_id, to_steer=True)
    kind = kind_named(run.kind)
    form = columns_form(kind, run)
    is_valid = form.validate_on_submit()
    mapping = form.mapping(run.headers)
    if not is_valid or form.errors:
        return _shown(run, form, 422)
    try:
        wrong = actions.plan(
            run,
            mapping,
            form.chosen(kind),
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _shown(run, form, 422)
    if wrong:
        form.form_errors.extend(wrong.values())
        return _shown(run, form, 422)
    return _go_on(run_id)


@blueprint.post("/<int:run_id>/back")
def back_to_columns(run_id: int) -> Response:
    """Let go of the dry run and choose columns again."""
    run = _steered(run_id)
    actions.back_to_columns(run, None)
    return _go_on(run_id)


@blueprint.post("/<int:run_id>/again")
def plan_again(run_id: int) -> Response:
    """The same dry run once more, for a world that has changed."""
    run, form = _found(run_id, to_steer=True), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.plan_again(run, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    return _go_on(run_id)


@blueprint.post("/<int:run_id>/stop")
def stop(run_id: int) -> Response:
    """Stop a dry run."""
    actions.stop(_found(run_id, to_steer=True), by=access.actor(), now=clock.utcnow())
    return _go_on(run_id)


@blueprint.post("/<int:run_id>/apply")
def apply(run_id: int) -> Response:
    """Write what the dry run says; it can change a whole firm's customers, so it asks who is sitting there."""
    access.require_recent_password()
    run, form = _found(run_id, to_steer=True), ApplyForm()
    if not form.validate_on_submit():
        abort(422)
    actions.apply(
        run,
        leave_out_refused=bool(form.leave_out.data),
        plan_hash=form.plan_hash.data or "",
        version=form.version.data or 0,
        by=access.actor(),
        now=clock.utcnow(),
    )
    return _go_on(run_id)


@blueprint.post("/<int:run_id>/discard")
def discard(run_id: int) -> Response:
    """Throw it away, with its file."""
    run, form = _found(run_id, to_steer=True), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.discard(run, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("The file is gone. Nothing was changed by it.")
    return redirect_to(LIST)


@blueprint.get("/<int:run_id>/refused.csv")
def refused_rows(run_id: int) -> Response:
    """The rows that cannot come in, as they stand in the file, each with its number and the reason."""
    run = _found(run_id)
    if not run.counts.get(Verdict.REFUSED):
        abort(404)
    lines = refused_lines(list(run.headers), queries.parts_of(run_id, Verdict.REFUSED))
    return _download("".join(lines), f"refused-{run.kind}-{run.id}.csv")


def _found(run_id: int, *, to_steer: bool = False) -> ImportRun:
    run = queries.run_by_id(run_id, to_steer=to_steer)
    if run is None or run.state is ImportState.DISCARDED:
        abort(404)
    return run


def _steered(run_id: int) -> ImportRun:
    """The import a button was pressed for, if it still stands as it was shown."""
    run, form = _found(run_id, to_steer=True), RowForm()
    if not form.validate_on_submit():
        abort(422)
    if form.version.data != run.version:
        abort(409)
    return run


def _go_on(run_id: int) -> Response:
    events.commit()
    return redirect_to(f"{LIST}/{run_id}")


def _download(body: str, filename: str) -> Response:
    return Response(
        body,
        mimetype="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="{filename}"',
            "Cache-Control": "no-store",
        },
    )


def _new(form: NewImportForm, status: int) -> Response:
    return render(
        "admin/imports/new_import.html",
        "admin/imports/_import_form.html",
        status,
        form=form,
        kinds=all_kinds(),
        most_bytes=MOST_BYTES,
        most_rows=MOST_ROWS,
    )


def _shown(run: ImportRun, form: ColumnsForm, status: int = 200) -> Response:
    now = clock.utcnow()
    kind = kind_named(run.kind)
    verdict = _verdict_wanted(run)
    rows = queries.judged_page(run, verdict, page_wanted()) if verdict else None
    entrance, address = SCREENS[kind.name]
    follow_up = kind.follow_up
    return render(
        "admin/imports/import.html",
        "admin/imports/_import.html",
        status,
        run=run,
        kind=kind,
        form=form,
        fields=[
            (form[place_name(place)], header, run.samples[place] if run.samples else [])
            for place, header in enumerate(run.headers)
        ],
        choices=[form[name] for name in form._fields if name.startswith("option_")],
        verdict=verdict,
        rows=rows,
        links=_links(kind, rows, address) if rows and address_in_menu(entrance) else {},
        list_address=address_in_menu(entrance),
        good=actions.good_rows(run),
        has_file=queries.has_file(run.id),
        seconds_left=_seconds_left(run, now),
        doing=follow_up.doing if follow_up else "",
        is_followed=bool(follow_up and run.choices.get(follow_up.option.name)),
        is_working=run.state in queries.WORKING,
    )


def _verdict_wanted(run: ImportRun) -> Verdict | None:
    """Which rows are shown: those asked for, else the refused ones, else what would be done."""
    if run.state not in {ImportState.PLANNED, ImportState.DONE}:
        return None
    wanted = request.args.get("show")
    if wanted is not None:
        return Verdict(wanted) if wanted in set(Verdict) else abort(404)
    order = (Verdict.REFUSED, Verdict.CHANGED, Verdict.ADDED, Verdict.UNCHANGED)
    if run.state is ImportState.DONE:
        order = (Verdict.ADDED, Verdict.CHANGED, Verdict.REFUSED, Verdict.UNCHANGED)
    return next((each for each in order if run.counts.get(each)), Verdict.ADDED)


def _links(kind: ImportKind, rows: queries.JudgedRows, address: str) -> dict[int, str]:
    """The address of what a row speaks of, by its id."""
    ids = [row["id"] for row in rows.items if row["id"]]
    if kind.name == "holdings":
        return {row_id: address.format(company_id) for row_id, company_id in companies_of(ids).items()}
    if kind.name in WORK:
        return {row_id: address.format(number) for row_id, number in numbers_of(WORK[kind.name], ids).items()}
    return {row_id: address.format(row_id) for row_id in ids}


def _seconds_left(run: ImportRun, now: datetime) -> float | None:
    total = run.counts.get(Verdict.ADDED, 0) if run.state is ImportState.FOLLOWING else run.total
    return seconds_left(run.done, total, (now - run.began_at).total_seconds()) if run.began_at else None
