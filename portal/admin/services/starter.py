"""`/admin/services/starters`: notes to begin with, the built-in ones and staff's own."""

from dataclasses import dataclass

from flask import abort, flash, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import RowForm
from portal.admin.services.forms import StarterForm, known_status
from portal.admin.services.place import blueprint
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.services.actions import starters
from portal.services.models import StarterNote
from portal.services.notes import GUIDES
from portal.services.queries.starters import own_starters, starter_by_id
from portal.services.rules import ServiceStatus


@dataclass(frozen=True)
class Offered:
    """Notes to begin with, as a form offers them; `name` tells them apart."""

    name: str
    status: ServiceStatus
    title: str
    body: str


def offered() -> list[Offered]:
    """All there are, staff's own first. One query."""
    own = [Offered(f"own-{each.id}", each.status, each.title, each.body) for each in own_starters()]
    built_in = [
        Offered(f"{status}-{place}", status, each.title, each.body)
        for status, guide in GUIDES.items()
        for place, each in enumerate(guide.starters)
    ]
    return own + built_in


@blueprint.get("/starters")
def starter_notes() -> Response:
    """All of them, by status."""
    return _list()


@blueprint.route("/starters/new", methods=["GET", "POST"])
def new_starter() -> Response:
    """Write some."""
    access.require(Permission.SERVICES_SET)
    form = StarterForm(version=0)
    if not form.is_submitted():
        return _form(form, None)
    if not form.validate():
        return _form(form, None, 422)
    try:
        starters.keep(
            ServiceStatus(form.status.data),
            form.title.data or "",
            form.body.data or "",
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    return _done("Kept.")


@blueprint.route("/starters/<int:note_id>", methods=["GET", "POST"])
def edit_starter(note_id: int) -> Response:
    """Change some of staff's own."""
    access.require(Permission.SERVICES_SET)
    found = _starter(note_id)
    form = StarterForm(obj=found)
    if not form.is_submitted():
        form.status.data = found.status.value
        return _form(form, found)
    if not form.validate():
        return _form(form, found, 422)
    try:
        starters.edit(
            found,
            ServiceStatus(form.status.data),
            form.title.data or "",
            form.body.data or "",
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
        return _done("Saved.")
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, _starter(note_id), 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = _starter(note_id)
        form.version.data = newer.version
        return _form(form, newer, 409)


@blueprint.post("/starters/<int:note_id>/delete")
def delete_starter(note_id: int) -> Response:
    """Do away with some of staff's own."""
    access.require(Permission.SERVICES_SET)
    found, form = _starter(note_id), RowForm()
    if not form.validate():
        abort(422)
    try:
        starters.delete(found, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
        return _done("Deleted. What was sent with it stays as it was sent.")
    except (StaleEdit, StaleDataError):
        events.rollback()
        return _list(409, "Somebody has changed these notes since you looked. Look once more.")


def _starter(note_id: int) -> StarterNote:
    return starter_by_id(note_id) or abort(404)


def _done(sentence: str) -> Response:
    events.commit()
    flash(sentence)
    return redirect_to(url_for("admin_service_status.starter_notes"))


def _list(status: int = 200, refusal: str = "") -> Response:
    own = own_starters()
    return render(
        "admin/services/starters.html",
        "admin/services/_starters.html",
        status,
        guides=GUIDES,
        own={each: [note for note in own if note.status is each] for each in ServiceStatus},
        may_set=may(access.signed_in().role, Permission.SERVICES_SET),
        refusal=refusal,
    )


def _form(form: StarterForm, found: StarterNote | None, status: int = 200) -> Response:
    chosen = known_status(form.status.data, ServiceStatus.INTERMITTENT)
    return render(
        "admin/services/starter_form.html",
        "admin/services/_starter_form.html",
        status,
        form=form,
        note=found,
        is_stale=status == 409,
        guide=GUIDES[chosen] if chosen else None,
    )
