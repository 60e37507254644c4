"""What goes out of the files: which there are. The files themselves are fetched one by one, or lie in the backup."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.files.models import StoredFile
from portal.files.queries import IS_THERE
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind

COLUMNS = {
    "name": "Name",
    "about": "About",
    "number": "Id",
    "media_type": "Type",
    "bytes": "Bytes",
    "sha256": "SHA-256",
    "given_by": "Given by",
    "given_at": "Given",
}


def _told(whose: Any) -> Iterator[Told]:
    statement = select(
        StoredFile.name,
        StoredFile.subject_kind.label("about"),
        StoredFile.subject_id.label("number"),
        StoredFile.media_type,
        StoredFile.size.label("bytes"),
        StoredFile.sha256,
        StoredFile.uploader_name.label("given_by"),
        StoredFile.uploaded_at.label("given_at"),
    ).where(whose, IS_THERE, StoredFile.is_internal.is_(False))
    for row in in_pieces(statement, StoredFile.id):
        yield row._mapping


def _of_company(company_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _told(StoredFile.company_id == company_id)


def _of_person(person_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _told(StoredFile.uploaded_by_id == person_id)


register(Part(ExportKind.COMPANY, "files", "files that were given, by either side", COLUMNS, _of_company, 41))
register(Part(ExportKind.PERSON, "files", "files they gave", COLUMNS, _of_person, 41))
