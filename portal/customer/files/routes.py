"""`/files`: a file while a form is being filled in, and every file somebody may see, by its id."""

from flask import Blueprint, Response

from portal import access, uploads
from portal.writing import MOST_BYTES, TOO_LARGE

blueprint = Blueprint("customer_files", __name__, url_prefix="/files")
access.customers(blueprint)
access.takes_uploads("customer_files.upload", None, most_bytes=MOST_BYTES, sentence=TOO_LARGE)


@blueprint.post("")
def upload() -> Response:
    """Take files for a form that is sent later; what of them is there now, and why the rest is not."""
    uploads.require_some_area()
    return uploads.answer_to_upload("/files")


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
