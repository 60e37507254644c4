"""What is written about jobs and quotes, over the API."""

from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.queries.tokens import maker_of
from portal.api.v1.fields import Moment, Switch, Text
from portal.api.v1.jobs import work
from portal.api.v1.jobs.files import NamedFileShape, named
from portal.api.v1.operations import wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.files.actions import Giver
from portal.files.queries import files_of_messages
from portal.files.subjects import Ref
from portal.jobs.rules import WorkKind
from portal.keyset import Piece
from portal.messages.actions import write
from portal.messages.models import Message
from portal.messages.queries import MESSAGE_ORDERS, message_about, messages_about
from portal.messages.rules import BODY_LENGTH


class MessageShape(Shape):
    id = fields.String(required=True)
    author = fields.String(required=True, metadata={"description": "Who wrote it, as they were called then."})
    from_staff = fields.Boolean(required=True)
    body = fields.String(required=True)
    sent_at = Moment(required=True)
    files = fields.List(fields.Nested(NamedFileShape), required=True)
    internal = fields.Boolean(
        metadata={"description": "Whether it is a note that only staff read. Not for a company’s token."}
    )


class MessageQuery(ListQuery):
    sort = sorted_by(MESSAGE_ORDERS)


class NewMessage(Shape):
    body = Text(required=True, least=1, most=BODY_LENGTH, metadata={"example": "We come on Monday at nine."})
    internal = Switch(load_default=False, metadata={"description": "A note for staff, which no customer ever sees."})


def listed(kind: WorkKind, number: str, query: dict[str, Any]) -> Piece[Any]:
    """A piece of what was written about an item."""
    ref = _ref(kind, number)
    found = messages_about(wanted(query, MESSAGE_ORDERS), access.viewpoint(), ref)
    return Piece(_shown(found.items), found.next)


def one(kind: WorkKind, number: str, message_id: str) -> dict[str, Any]:
    """One message about an item."""
    found = message_about(access.viewpoint(), _ref(kind, number), message_id)
    if found is None:
        raise NotFound
    return _shown([found])[0]


def written(kind: WorkKind, number: str, body: dict[str, Any]) -> dict[str, Any]:
    """Write as whoever made the token; one made at the command line writes under its own name."""
    person_id, name = maker_of(access.key().token_id) or (None, access.key().name)
    message = write(
        _ref(kind, number),
        body["body"],
        Giver(person_id, name, access.key().company_id),
        # A request that is sent twice is known by its Idempotency-Key before it comes here.
        key=token_hex(16),
        is_internal=body["internal"],
        now=clock.utcnow(),
    )
    return _shown([message])[0]


def _ref(kind: WorkKind, number: str) -> Ref:
    """What messages know the item by; NotFound where it, or writing about it, is not there for whoever asks."""
    if not access.viewpoint().is_staff and Area.MESSAGES not in access.company_areas():
        raise NotFound
    return work.ref_seen(kind, number)


def _shown(messages: Sequence[Message]) -> list[dict[str, Any]]:
    viewpoint = access.viewpoint()
    files = files_of_messages(viewpoint, [each.id for each in messages])
    return [
        {
            "id": each.public_id,
            "author": each.author_name,
            "from_staff": each.is_staff,
            "body": each.body,
            "sent_at": each.sent_at,
            "files": [named(file) for file in files.get(each.id, ())],
        }
        | ({"internal": each.is_internal} if viewpoint.is_staff else {})
        for each in messages
    ]
