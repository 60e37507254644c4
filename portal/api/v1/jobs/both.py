"""The operations that jobs and quotes both have, under the names of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response
from marshmallow import Schema

from portal.api.v1.jobs import files, messages, work
from portal.api.v1.jobs.files import FileQuery, FileShape
from portal.api.v1.jobs.messages import MessageQuery, MessageShape, NewMessage
from portal.api.v1.jobs.shapes import ManyMoves, MovedListShape, WorkMove, WorkQuery
from portal.api.v1.operations import Answer, Resources
from portal.jobs.rules import PLURALS, WorkKind
from portal.keyset import Piece

Result = Answer | Piece[Any] | Response


@dataclass(frozen=True)
class Shapes:
    """How one kind of work is written: in a list, whole, new, changed, told of by another system, and answered then."""

    line: type[Schema]
    whole: type[Schema]
    new: type[Schema]
    change: type[Schema]
    to_put: type[Schema]
    put: type[Schema]


class Both:
    """The operations of one kind of work, added to its blueprint; `whole` shows one item, found by its number."""

    def __init__(
        self, kind: WorkKind, blueprint: Resources, shapes: Shapes, whole: Callable[[str], dict[str, Any]]
    ) -> None:
        self.kind = kind
        self.whole = whole
        self.base = f"/{PLURALS[kind]}"
        self._add_own(blueprint, shapes)
        self._add_steps(blueprint, shapes)
        self._add_beside(blueprint)

    @property
    def rule(self) -> str:
        """The path of one item."""
        return f"/<string(maxlength=20):{self.kind.value}_number>"

    def _add_own(self, on: Resources, shapes: Shapes) -> None:
        one, many, item = self.kind.value, PLURALS[self.kind], self.rule
        put = f"Add a {one} of another system, or change it"
        for operation, name, view in (
            (on.lists("", WorkQuery, shapes.line, summary=f"List {many}"), f"list_{many}", self.list_items),
            (on.makes("", shapes.new, shapes.whole, summary=f"Add a {one}"), f"add_{one}", self.add),
            (on.sets("/by-external-number", shapes.to_put, shapes.put, summary=put), f"put_{one}", self.put),
            (on.reads(item, shapes.whole, summary=f"Read a {one}"), f"read_{one}", self.read),
            (
                on.changes(item, shapes.change, shapes.whole, summary=f"Change what a {one} says"),
                f"change_{one}",
                self.change,
            ),
        ):
            operation(self._named(name, view))

    def _add_steps(self, on: Resources, shapes: Shapes) -> None:
        one, many, item = self.kind.value, PLURALS[self.kind], self.rule
        for operation, name, view in (
            (
                on.does("/move", MovedListShape, body=ManyMoves, of_version=False, summary=f"Move many {many} at once"),
                f"move_{many}",
                self.move_many,
            ),
            (
                on.does(f"{item}/move", shapes.whole, body=WorkMove, summary=f"Move a {one} to another work status"),
                f"move_{one}",
                self.move,
            ),
            (
                on.does(f"{item}/settle", shapes.whole, of_version=False, summary=f"Say that a {one} needs no answer"),
                f"settle_{one}",
                self.settle,
            ),
        ):
            operation(self._named(name, view))

    def _add_beside(self, on: Resources) -> None:
        one, item = self.kind.value, self.rule
        message = f"{item}/messages/<string(maxlength=40):{one}_message_id>"
        file = f"{item}/files/<string(maxlength=40):{one}_file_id>"
        for operation, name, view in (
            (
                on.lists(
                    f"{item}/messages", MessageQuery, MessageShape, summary=f"List what was written about a {one}"
                ),
                f"list_{one}_messages",
                self.list_messages,
            ),
            (
                on.makes(f"{item}/messages", NewMessage, MessageShape, summary=f"Write about a {one}"),
                f"write_about_{one}",
                self.write,
            ),
            (
                on.reads(message, MessageShape, summary=f"Read a message about a {one}"),
                f"read_{one}_message",
                self.read_message,
            ),
            (
                on.lists(f"{item}/files", FileQuery, FileShape, summary=f"List the files of a {one}"),
                f"list_{one}_files",
                self.list_files,
            ),
            (
                on.reads(file, FileShape, summary=f"Read what is known of a file of a {one}"),
                f"read_{one}_file",
                self.read_file,
            ),
            (on.gives(f"{file}/content", summary=f"Fetch a file of a {one}"), f"fetch_{one}_file", self.fetch_file),
        ):
            operation(self._named(name, view))

    def _named(self, name: str, view: Callable[..., Result]) -> Callable[..., Result]:
        """A view under the name of its kind, given what its path names without the kind."""

        @wraps(view)
        def named(**given: Any) -> Result:
            return view(**{each.removeprefix(f"{self.kind.value}_"): value for each, value in given.items()})

        named.__name__ = name
        return named

    def list_items(self, query: dict[str, Any]) -> Result:
        return work.listed(self.kind, query)

    def add(self, body: dict[str, Any]) -> Result:
        """A quote that begins as sent is sent with its lines."""
        number = work.made(self.kind, body)
        return Answer(self.whole(number), f"{self.base}/{number}")

    def put(self, body: dict[str, Any]) -> Result:
        """Found again by its `external_number`: told of twice it is the same. What the body does not name stays as it
        is, and nobody is mailed unless `notify` says so."""
        number, is_new = work.put(self.kind, body)
        return Answer(self.whole(number) | {"created": is_new})

    def read(self, number: str) -> Result:
        return Answer(self.whole(number))

    def change(self, number: str, body: dict[str, Any]) -> Result:
        """Its company stays; its status is moved, not changed; the lines of a quote are set as a whole."""
        work.changed(self.kind, number, body)
        return Answer(self.whole(number))

    def move_many(self, body: dict[str, Any]) -> Result:
        """What cannot be moved does not hold back the others: each has a result of its own, in the order given."""
        return Answer({"results": work.moved_many(self.kind, body)})

    def move(self, number: str, body: dict[str, Any]) -> Result:
        """What its customer sees follows from the settings of the work statuses. A quote that is sent is frozen for
        its answer."""
        work.moved(self.kind, number, body)
        return Answer(self.whole(number))

    def settle(self, number: str) -> Result:
        """What its customer wrote last needs no answer: nobody waits for one any more."""
        work.settled(self.kind, number)
        return Answer(self.whole(number))

    def list_messages(self, number: str, query: dict[str, Any]) -> Result:
        return messages.listed(self.kind, number, query)

    def write(self, number: str, body: dict[str, Any]) -> Result:
        """It is written by whoever made the token. What is not `internal` is mailed to the customer."""
        made = messages.written(self.kind, number, body)
        return Answer(made, f"{self.base}/{number}/messages/{made['id']}")

    def read_message(self, number: str, message_id: str) -> Result:
        return Answer(messages.one(self.kind, number, message_id))

    def list_files(self, number: str, query: dict[str, Any]) -> Result:
        """Those that came with messages too, where messages are open to whoever asks."""
        return files.listed(self.kind, number, query)

    def read_file(self, number: str, file_id: str) -> Result:
        return Answer(files.one(self.kind, number, file_id))

    def fetch_file(self, number: str, file_id: str) -> Result:
        """To be saved and never shown: the type is that of its content. Takes Range for a part of it."""
        return files.content(self.kind, number, file_id)
