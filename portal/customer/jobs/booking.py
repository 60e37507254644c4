"""Booking a job, asking for a quote, adding files, calling off: the same on the screens of both."""

from collections.abc import Sequence

from flask import Response, abort, flash
from flask_babel import gettext as _

from portal import access, clock, events, uploads
from portal.customer.jobs.forms import BookingForm, FilesForm, fresh_booking
from portal.customer.jobs.pages import item_of, item_view
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.files.models import StoredFile
from portal.files.queries import unfinished
from portal.files.rules import ACCEPT, FILES_A_MESSAGE
from portal.fragments import redirect_to, render
from portal.jobs.actions import booking
from portal.jobs.actions.booking import Wanted
from portal.jobs.rules import PLURALS, WorkKind
from portal.jobs.subjects import path_of
from portal.services.queries import ServiceLine, service_lines
from portal.services.queries.settings import view_of
from portal.services.rules import PROBLEMS


def show_booking(
    kind: WorkKind, form: BookingForm | None = None, chosen: Sequence[StoredFile] = (), status: int = 200
) -> Response:
    """The form on which work is asked for."""
    form = form or fresh_booking()
    company_id = access.signed_in().company_id or 0
    lines = _services_shown(company_id) if Area.SERVICES in access.areas() else []
    form.offer(lines)
    folder = f"customer/{PLURALS[kind]}"
    return render(
        f"{folder}/booking.html",
        f"{folder}/_booking.html",
        status,
        form=form,
        troubled=[line for status in reversed(PROBLEMS) for line in lines if line.status is status],
        chosen_files=chosen,
        accepts=ACCEPT,
        files_at_most=FILES_A_MESSAGE,
    )


def _services_shown(company_id: int) -> list[ServiceLine]:
    """The services that may be named, and how they are: who asks for help should see what is known already."""
    view = view_of(access.portal().id, company_id)
    return service_lines(company_id, clock.utcnow(), shows_incidents=Area.STATUS in access.areas(), view=view)


def take_booking(kind: WorkKind) -> Response:
    """Make what the form asks for, and lead to it; what is refused comes back with everything that was typed."""
    form = BookingForm()
    is_whole, who = form.validate(), uploads.giver()
    received = uploads.receive()
    form.file_errors = received.sentences
    number = _book(kind, form, received) if is_whole and received.status == 200 else None
    if number is None:
        public_ids = [file.public_id for file in received.files]
        events.commit()
        chosen = unfinished(public_ids, person_id=who.person_id, company_id=who.company_id)
        return show_booking(kind, form, chosen, received.status if received.status != 200 else 422)
    events.commit()
    flash(_("We have it, and will answer you here."))
    return redirect_to(path_of(kind, number, is_staff=False))


def _book(kind: WorkKind, form: BookingForm, received: uploads.Received) -> int | None:
    wanted = Wanted(form.title.data or "", form.description.data or "", form.site.data or "", form.holding)
    try:
        with db.session.begin_nested():
            item = booking.book(
                kind,
                wanted,
                uploads.giver(),
                key=form.key.data or "",
                by=access.actor(),
                now=clock.utcnow(),
                file_ids=received.ids,
            )
    except RuleViolation as violation:
        form.refuse(violation)
        return None
    return item.number


def take_files(kind: WorkKind, number: str) -> Response:
    """Add files to an item."""
    item, form, who = item_of(kind, number), FilesForm(), uploads.giver()
    if not form.validate():
        abort(400)
    received = uploads.receive()
    sentences = received.sentences
    if received.status == 200:
        try:
            with db.session.begin_nested():
                booking.add_files(item, received.ids, who, now=clock.utcnow())
        except RuleViolation as violation:
            sentences = [violation.sentence]
    public_ids = [file.public_id for file in received.files]
    events.commit()
    if sentences:
        chosen = unfinished(public_ids, person_id=who.person_id, company_id=who.company_id)
        view = item_view(item) | {"given": chosen, "file_errors": sentences}
        folder, name = f"customer/{PLURALS[kind]}", kind.value
        status = received.status if received.status != 200 else 422
        return render(f"{folder}/{name}.html", f"{folder}/_{name}.html", status, **view)
    flash(_("Added."))
    return redirect_to(f"/{PLURALS[kind]}/{number}")


def take_cancel(kind: WorkKind, number: str) -> Response:
    """Call off what one has asked for; too late, the page says why nothing has changed."""
    item = item_of(kind, number)
    try:
        booking.cancel(item.ref.id, uploads.giver(), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        folder, name = f"customer/{PLURALS[kind]}", kind.value
        view = item_view(item_of(kind, number)) | {"refusal": violation.sentence}
        return render(f"{folder}/{name}.html", f"{folder}/_{name}.html", 422, **view)
    events.commit()
    flash(_("Called off."))
    return redirect_to(f"/{PLURALS[kind]}/{number}")
