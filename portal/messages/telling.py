"""What upper capabilities do about a message: they say so here when they are loaded, and are called in the transaction
of the message. Telling people by mail is their part, because they know who takes part in what.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from portal.files.subjects import Ref


@dataclass(frozen=True)
class Written:
    """A message both sides can read, just written; never an internal note. `files` are the names of what came along."""

    message_id: int
    ref: Ref
    company_id: int
    person_id: int | None
    author_name: str
    is_staff: bool
    body: str
    files: tuple[str, ...]
    sent_at: datetime


Hear = Callable[[Written], None]
_hearers: dict[str, Hear] = {}


def register(kind: str, hear: Hear) -> None:
    """Have `hear` called for every public message about subjects of this kind; registering again replaces it."""
    _hearers[kind] = hear


def tell(written: Written) -> None:
    """Tell whoever has registered for the kind of the subject."""
    if hear := _hearers.get(written.ref.kind):
        hear(written)
