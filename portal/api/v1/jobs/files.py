"""The files of jobs and quotes, over the API."""

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import fields

from portal import access, uploads
from portal.api.v1.fields import Moment
from portal.api.v1.jobs.work import ref_seen
from portal.api.v1.operations import wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.files.models import StoredFile
from portal.files.queries import FILE_ORDERS, file_about, files_about
from portal.jobs.rules import WorkKind
from portal.keyset import Piece


class NamedFileShape(Shape):
    id = fields.String(required=True)
    name = fields.String(required=True)
    media_type = fields.String(required=True)
    size = fields.Integer(required=True, metadata={"description": "In bytes."})


class FileShape(NamedFileShape):
    sha256 = fields.String(required=True)
    uploaded_at = Moment(required=True)
    from_staff = fields.Boolean(required=True)
    internal = fields.Boolean(metadata={"description": "Whether only staff see it. Not for a company’s token."})


class FileQuery(ListQuery):
    sort = sorted_by(FILE_ORDERS)


def named(file: StoredFile) -> dict[str, Any]:
    """What says which file it is."""
    return {"id": file.public_id, "name": file.name, "media_type": file.media_type, "size": file.size}


def listed(kind: WorkKind, number: str, query: dict[str, Any]) -> Piece[Any]:
    """A piece of the files of an item, those of its messages too where they are open to whoever asks."""
    found = files_about(wanted(query, FILE_ORDERS), access.viewpoint(), ref_seen(kind, number), **_with_messages())
    return Piece([_shown(file) for file in found.items], found.next)


def one(kind: WorkKind, number: str, file_id: str) -> dict[str, Any]:
    """What is known of one file of an item."""
    return _shown(_found(kind, number, file_id))


def content(kind: WorkKind, number: str, file_id: str) -> Response:
    """The bytes of one file of an item."""
    return uploads.answer_with(_found(kind, number, file_id), is_saved=True)


def _found(kind: WorkKind, number: str, file_id: str) -> StoredFile:
    file = file_about(access.viewpoint(), ref_seen(kind, number), file_id, **_with_messages())
    if file is None:
        raise NotFound
    return file


def _with_messages() -> Mapping[str, bool]:
    return {"with_messages": access.viewpoint().is_staff or Area.MESSAGES in access.company_areas()}


def _shown(file: StoredFile) -> dict[str, Any]:
    shown = named(file) | {"sha256": file.sha256, "uploaded_at": file.uploaded_at, "from_staff": file.is_by_staff}
    return shown | ({"internal": file.is_internal} if access.viewpoint().is_staff else {})
