"""`/admin/files`: a file while a form is being filled in, every file of a job, a quote and the like; deleting one."""

from flask import Blueprint, Response, abort, flash, request

from portal import access, clock, events, uploads
from portal.accounts.rules import Permission, safe_next
from portal.files import actions, queries, subjects
from portal.fragments import redirect_to
from portal.writing import MOST_BYTES, TOO_LARGE

blueprint = Blueprint("admin_files", __name__, url_prefix="/admin/files")
access.staff(blueprint, Permission.STAFF_ENTER)
access.takes_uploads("admin_files.upload", Permission.STAFF_ENTER, most_bytes=MOST_BYTES, sentence=TOO_LARGE)


@blueprint.post("")
def upload() -> Response:
    """Take files for a form that is sent later; what of them is there now, and why the rest is not."""
    return uploads.answer_to_upload("/admin/files")


@blueprint.get("/<public_id>")
def file(public_id: str) -> Response:
    """The file itself."""
    return uploads.answer_with(uploads.file_for(public_id))


@blueprint.get("/<public_id>/small")
def small(public_id: str) -> Response:
    """A small copy of an image."""
    return uploads.answer_with(uploads.file_for(public_id), is_small=True)


@blueprint.post("/<public_id>/discard")
def discard(public_id: str) -> Response:
    """Take back a file of one's own that was chosen for a form which was not sent yet."""
    return uploads.discard(public_id)


@blueprint.post("/<public_id>/delete")
def delete(public_id: str) -> Response:
    """Delete a file for everybody, and go back to the page of what it belonged to."""
    wanted = uploads.file_for(public_id)
    ref = queries.ref_of(wanted)
    subject = subjects.subject_of(ref.kind) if ref else None
    if ref is None or subject is None:
        abort(404)
    access.require(subject.permission)
    name, known = wanted.name, subjects.seen(access.viewpoint(), ref)
    actions.delete(wanted, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"“{name}” is deleted.")
    return redirect_to(safe_next(request.form.get("next") or (known.path if known else None)))
