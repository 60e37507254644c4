"""Files over the web, the same for customers and for staff: taking what a form brings, and answering with a file.

Audience folders do not know each other, so it stands here. Source of the headers: reliability-security, section 5,
"Uploads" and "CSP", and rows F01 and F07.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, cast
from urllib.parse import quote

from flask import Response, abort, current_app, render_template, request
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from portal import access, clock, events
from portal.config import Settings
from portal.database import read_only
from portal.errors import RuleViolation, answer
from portal.files import actions, queries, store, subjects
from portal.files.actions import Giver
from portal.files.images import NO_ROOM
from portal.files.models import StoredFile
from portal.files.rules import FILES_A_MESSAGE, Refusal
from portal.files.store import PIECE, PREVIEW, StoreTroubleError
from portal.files.taking import FIELD, Taken, take
from portal.files.words import sentence

log = logging.getLogger(__name__)

IDS = "file_ids"
"""The field of forms that names files which were uploaded while the form was filled in."""

POLICY = "sandbox; default-src 'none'"
"""What a file that is opened in a browser may do: nothing, not even where its type was misjudged."""

WHOLE_AT_MOST = 1_000_000
"""Bytes of an answer that are handed over at once, so that whoever reads slowly holds no place at work."""


def giver() -> Giver:
    """Who gives files or writes, in this request: staff on the staff host, else somebody for their company."""
    person = access.signed_in()
    viewpoint = access.viewpoint()
    return Giver(person.person_id, person.name, None if viewpoint.is_staff else viewpoint.company_id)


def require_some_area() -> None:
    """404 where no area is open to the viewer that files could belong to."""
    if not access.viewpoint().is_staff and not subjects.any_open(access.areas()):
        abort(404)


# Taking


@dataclass
class Received:
    """What a form has brought: files that are there now, unfinished, and a sentence for each that is not.

    `status` is that of the answer: 200, 422 for files that are not taken, 507 where there is no room, 503 where the
    store cannot be reached. What was taken stays taken, so whoever sends the form again need not choose it again.
    """

    files: list[StoredFile] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    status: int = 200

    def refuse(self, words: str, status: int = 422) -> None:
        """Note that something was not taken."""
        self.sentences.append(words)
        self.status = max(self.status, status)

    @property
    def ids(self) -> list[str]:
        """The ids of the files that are there, each once."""
        return list(dict.fromkeys(file.public_id for file in self.files))


def receive() -> Received:
    """Take what this request brings: files in the field `files`, and ids of files that were uploaded before.

    Nothing is committed, and the caller has had nothing to commit: looking into files takes time, so the transaction
    is given up meanwhile and begun anew.
    """
    who, settings = giver(), cast(Settings, current_app.config["SETTINGS"])
    found = Received()
    wanted = [each for each in request.form.getlist(IDS) if each][: FILES_A_MESSAGE + 1]
    sent = [each for each in request.files.getlist(FIELD) if each.filename]
    if len(wanted) + len(sent) > FILES_A_MESSAGE:
        found.refuse(sentence(Refusal.TOO_MANY))
        sent = []
    taken = list(_taken(sent, who, settings, found))
    for each in taken:
        try:
            found.files.append(actions.keep(each, who, clock.utcnow()))
        except RuleViolation as violation:
            found.refuse(violation.sentence)
    known = queries.unfinished(wanted, person_id=who.person_id, company_id=who.company_id) if wanted else ()
    found.files[:0] = known
    if len({*wanted}) != len(known):
        found.refuse(actions.gone_sentence())
    return found


def _taken(sent: Sequence[FileStorage], who: Giver, settings: Settings, found: Received) -> Iterator[Taken]:
    if not sent:
        return
    try:
        actions.check_room(who)
    except RuleViolation as violation:
        found.refuse(violation.sentence)
        return
    # A photo takes a second to look into, a bucket to be reached, and nobody who writes meanwhile may wait for it.
    events.rollback()
    read_only.set(True)
    try:
        for each in sent:
            result = _try(each, settings, found)
            if result is not None:
                yield result
    finally:
        events.rollback()
        read_only.set(False)


def _try(sent: FileStorage, settings: Settings, found: Received) -> Taken | None:
    try:
        return take(
            sent.stream,
            sent.filename or "",
            store.of_app(),
            most_bytes=settings.file_megabytes * 1_000_000,
        )
    except RuleViolation as violation:
        found.refuse(violation.sentence)
    except StoreTroubleError as trouble:
        log.error("a file cannot be stored: %s", trouble)
        found.refuse(_("Files cannot be stored right now. What you wrote is still here; try again in a minute."), 503)
    except OSError as trouble:
        if trouble.errno not in NO_ROOM:
            raise
        log.error("a file cannot be stored: %s", trouble)
        words = _("There is no room left to store files. What you wrote is still here; send it without the file.")
        found.refuse(words, 507)
    return None


def answer_to_upload(base: str) -> Response:
    """What a script that uploads one file after the other puts into the form: the file with its id, or why not."""
    received = receive()
    names = [file.public_id for file in received.files]
    events.commit()
    who = giver()
    files = queries.unfinished(names, person_id=who.person_id, company_id=who.company_id)
    html = render_template("files/uploaded.html", files=files, sentences=received.sentences, base=base)
    if not files and received.status == 200:
        received.status = 422
    response = Response(html, received.status)
    response.headers["Cache-Control"] = "no-store"
    return response


# Serving


def file_for(public_id: str) -> StoredFile:
    """The file of this id as whoever asks may see it; 404 for all else."""
    viewpoint = access.viewpoint()
    areas = frozenset() if viewpoint.is_staff else access.areas()
    return queries.file_to_serve(viewpoint, public_id, areas, access.signed_in().person_id) or abort(404)


def answer_with(file: StoredFile, *, is_small: bool = False, is_saved: bool = False) -> Response:
    """The file: an image in the page, everything else, with `is_saved`, and what is asked for with `?download`, to be
    saved.

    A part of it where one part is asked for; 404 where its bytes are lost, 503 where the store cannot be reached.
    """
    if is_small and not file.is_image:
        abort(404)
    is_small = is_small and file.has_preview
    is_shown = file.is_image and not is_saved and "download" not in request.args
    name, kind = file.storage_name + (PREVIEW if is_small else ""), "image/webp" if is_small else file.media_type
    headers = {
        "Content-Disposition": disposition("inline" if is_shown else "attachment", file.name),
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        # What a page shows may stay in the browser's own memory, and is asked about each time; what is saved is not.
        "Cache-Control": "private, no-cache" if is_shown else "private, no-store",
    }
    tag, size, sha256 = f"{file.sha256[:40]}{'-small' if is_small else ''}", file.size, file.sha256
    # Whatever the store takes its time for, the database need not wait.
    events.rollback()
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
        response.set_etag(tag)
        response.headers["Cache-Control"] = headers["Cache-Control"]
        return response
    try:
        content = store.of_app().open(name)
        size = _size_of(content) if is_small else size
        response = _part(content, size, tag)
    except FileNotFoundError:
        log.error("the bytes of a file are not in the store: %s", sha256)
        abort(404)
    except StoreTroubleError as trouble:
        log.error("a file cannot be read: %s", trouble)
        return answer(503, headers={"Retry-After": "30"})
    if response.status_code == 416:
        return response
    response.headers.update(headers)
    response.headers["Content-Type"] = kind
    response.headers["Accept-Ranges"] = "bytes"
    response.set_etag(tag)
    return response


def _part(content: IO[bytes], size: int, tag: str) -> Response:
    """The content, or the one part of it that is asked for. Several parts at once are answered with the whole."""
    wanted = request.range if request.method == "GET" else None
    only_if = request.if_range
    is_current = only_if.etag == tag if only_if.etag is not None else only_if.date is None
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or not is_current:
        return _bytes(content, 0, size)
    part = wanted.range_for_length(size)
    if part is None:
        content.close()
        response = answer(416)
        response.headers["Content-Range"] = f"bytes */{size}"
        return response
    start, stop = part
    response = _bytes(content, start, stop)
    response.status_code = 206
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response


def _bytes(content: IO[bytes], start: int, stop: int) -> Response:
    content.seek(start)
    if stop - start <= WHOLE_AT_MOST:
        with content:
            return Response(content.read(stop - start))
    response = Response(_Pieces(content, stop - start), direct_passthrough=True)
    response.content_length = stop - start
    return response


class _Pieces:
    """What is left to read of a file, a piece at a time; the file is closed with the answer, read or not."""

    def __init__(self, content: IO[bytes], left: int) -> None:
        self.content = content
        self.left = left

    def __iter__(self) -> Iterator[bytes]:
        while self.left > 0 and (piece := self.content.read(min(PIECE, self.left))):
            self.left -= len(piece)
            yield piece

    def close(self) -> None:
        self.content.close()


def _size_of(content: IO[bytes]) -> int:
    size = content.seek(0, 2)
    content.seek(0)
    return size


def disposition(kind: str, name: str) -> str:
    """A Content-Disposition with a name of any letters (RFC 6266); the name is one that `safe_name` made."""
    plain = "".join(letter if " " <= letter < "\x7f" and letter not in '"\\%' else "_" for letter in name)
    exact = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'{kind}; filename="{plain}"{exact}'


def discard(public_id: str) -> Response:
    """Throw away a file of the viewer's own that was chosen for a form which was not sent yet; 404 for any other."""
    wanted = file_for(public_id)
    if wanted.linked_at is not None:
        abort(404)
    actions.discard(wanted, clock.utcnow())
    events.commit()
    return Response(status=204)
