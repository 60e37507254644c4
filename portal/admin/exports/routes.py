"""`/admin/exports`: asking for data, watching it being put together, fetching it while it is there."""

import re
from collections.abc import Iterator

from flask import Blueprint, Response, abort, flash, request, stream_with_context

from portal import access, clock, events
from portal.accounts.models import Company, Person
from portal.accounts.queries import person_by_email
from portal.accounts.queries.names import company_named
from portal.accounts.rules import Permission
from portal.admin.exports.forms import KINDS, ExportForm
from portal.admin.forms import StaffForm
from portal.catalogue.queries.lists import company_by_id
from portal.database import read_only
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.records import exports
from portal.records.models import ExportRun
from portal.records.rules.exports import ExportKind

blueprint = Blueprint("admin_exports", __name__, url_prefix="/admin/exports")
access.staff(blueprint, Permission.RECORDS_EXPORT)

LIST = "/admin/exports"


@blueprint.get("")
def export_list() -> Response:
    """What was asked for, newest first, and the form to ask for more."""
    form = ExportForm(formdata=None, kind=_kind_wanted(), about=request.args.get("about", "")[:254])
    return _page(form)


@blueprint.post("")
def new_export() -> Response:
    """Ask for an export; a worker makes it."""
    access.require_recent_password()
    form = ExportForm()
    if not form.validate_on_submit():
        return _page(form, 422)
    kind = ExportKind(form.kind.data)
    try:
        subject = _subject(kind, form.about.data or "")
        name = _file_name(kind, subject)
        exports.request_export(kind, subject.id if subject else None, name, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        form.refuse(violation)
        return _page(form, 422)
    events.commit()
    flash("It is being put together. The file stands below when it is ready.")
    return redirect_to(LIST)


@blueprint.post("/<int:run_id>/file")
def download(run_id: int) -> Response:
    """The file, in pieces; each time it is fetched is recorded."""
    access.require_recent_password()
    run = _run(run_id)
    _pressed()
    exports.note_download(run, by=access.actor(), now=clock.utcnow())
    name, size = run.file_name, run.size
    events.commit()
    read_only.set(True)
    kind = "application/zip" if name.endswith(".zip") else "text/csv"
    response = Response(stream_with_context(_pieces(run_id)), mimetype=kind)
    response.content_length = size
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/<int:run_id>/discard")
def discard(run_id: int) -> Response:
    """Throw it away, ready or not."""
    run = _run(run_id)
    _pressed()
    exports.discard(run, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("The export is thrown away.")
    return redirect_to(LIST)


def _pieces(run_id: int) -> Iterator[bytes]:
    number = 0
    while (data := exports.chunk(run_id, number)) is not None:
        events.rollback()
        yield data
        number += 1
    events.rollback()


def _run(run_id: int) -> ExportRun:
    return exports.run_by_id(run_id) or abort(404)


def _pressed() -> None:
    if not StaffForm().validate_on_submit():
        abort(422)


def _kind_wanted() -> str:
    wanted = request.args.get("kind", "")
    return wanted if wanted in set(ExportKind) else ExportKind.COMPANY.value


def _subject(kind: ExportKind, text: str) -> Company | Person | None:
    """The company or person that is meant; None for the firm's own lists."""
    if kind is ExportKind.COMPANY:
        found: Company | Person | None = company_named(text)
        if found is None and text.startswith("#") and text[1:].isascii() and text[1:].isdigit() and len(text) < 10:
            found = company_by_id(int(text[1:]))
        if found is None:
            raise RuleViolation("Type the company’s name as it stands in the list of companies.", "about")
        return found
    if kind is ExportKind.PERSON:
        found = person_by_email(text)
        if found is None:
            raise RuleViolation("Type the person’s e-mail address.", "about")
        return found
    return None


def _file_name(kind: ExportKind, subject: Company | Person | None) -> str:
    """Plain letters, so that any system takes it; people are named by number."""
    day = f"{clock.utcnow():%Y-%m-%d}"
    if isinstance(subject, Company):
        plain = re.sub(r"[^a-z0-9]+", "-", subject.name.lower()).strip("-")[:60]
        return f"company-{plain or subject.id}-{day}.zip"
    return f"person-{subject.id}-{day}.zip" if subject else f"{kind.value}-{day}.csv"


def _page(form: ExportForm, status: int = 200) -> Response:
    return render(
        "admin/exports/exports.html",
        "admin/exports/_exports.html",
        status,
        form=form,
        runs=exports.runs(),
        kinds=KINDS,
    )
