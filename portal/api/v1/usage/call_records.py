"""`/api/v1/call-records`: who called whom, when, and how it ended, as switches tell it."""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

from marshmallow import ValidationError, fields, validate

from portal import access, clock
from portal.accounts.queries.listings import company_by_id
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import LARGEST_ID, Id, InAddress, Moment, Text, Whole, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import Refusal
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.usage.shapes import TakenShape
from portal.bodies import WITH_CALLS
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.keyset import Piece
from portal.usage.calls import actions, queries
from portal.usage.calls.models import CallRecord
from portal.usage.calls.queries import CALL_ORDERS, CallFilter
from portal.usage.calls.rules import (
    CALL_ID_LENGTH,
    CALLS_AT_MOST,
    CARRIER_LENGTH,
    NUMBER_LENGTH,
    Call,
    Outcome,
)
from portal.usage.calls.rules.reading import CALL_ID, FIELDS, Wrong, read, strict_moment
from portal.usage.rules import TRUNK_LENGTH

blueprint = Resources(
    Resource.CALL_RECORDS,
    Area.ALERTS,
    about="Who called whom, when, and how it ended. Records with one Call-ID are one call of a company, whenever they "
    "come and in whatever order: what is known stands, what was missing is added, times are the first start, ringing "
    "and answer and the last end, and the best result of several tries stands. ASR, NER, ACD, PDD and, where no "
    "samples come, calls a second and channels are counted from them. A company’s token reads those of its own.",
)

access.takes_batches("api_call_records.add_call_records", most_bytes=WITH_CALLS)

STAFF_ONLY = {"description": "Not for a company’s token."}


class CallRecordShape(Shape):
    company_id = fields.Integer(required=True)
    call_id = fields.String(required=True)
    from_ = fields.String(required=True, data_key="from")
    to = fields.String(required=True)
    started_at = Moment(required=True)
    ringing_at = Moment(required=True, allow_none=True)
    answered_at = Moment(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)
    result = Word(Outcome, required=True, allow_none=True, metadata={"description": "Null while it is in progress."})
    code = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The SIP response it came as, where it did."}
    )
    trunk = fields.String(metadata=STAFF_ONLY)
    carrier = fields.String(metadata=STAFF_ONLY)
    service_id = fields.Integer(required=True, allow_none=True)


class NewCallRecord(Shape):
    """How the document describes a record. `NewCalls` reads it: ten thousand of them in a moment."""

    company_id = Id(required=True)
    call_id = Text(
        required=True,
        least=1,
        most=CALL_ID_LENGTH,
        metadata={"description": "The Call-ID: plain characters without spaces.", "example": "3848276298@sbc1"},
    )
    from_ = Text(most=NUMBER_LENGTH, load_default="", data_key="from")
    to = Text(most=NUMBER_LENGTH, load_default="")
    started_at = Moment(required=True, metadata={"description": "The call request."})
    ringing_at = Moment(allow_none=True, metadata={"description": "The first ringing or equal signal (180, 183)."})
    answered_at = Moment(allow_none=True, metadata={"description": "Of an answered call, and of no other."})
    ended_at = Moment(allow_none=True, metadata={"description": "Left out while it is in progress."})
    result = fields.Raw(
        allow_none=True,
        metadata={
            "description": "The last SIP response (200 to 699) or a word: "
            f"{', '.join(Outcome)}. Left out while it is in progress.",
            "oneOf": [{"type": "integer", "minimum": 200, "maximum": 699}, {"type": "string", "enum": list(Outcome)}],
            "example": 486,
        },
    )
    trunk = Text(most=TRUNK_LENGTH, load_default="")
    carrier = Text(most=CARRIER_LENGTH, load_default="", metadata={"description": "Customers never read it."})
    service_id = Id(allow_none=True)


NAMES = frozenset({"company_id", *FIELDS})


class NewCalls(fields.List[Any]):
    """The records of a body, each with the company it is of."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        found: list[tuple[int, Call]] = []
        wrong: dict[int, dict[str, list[str]]] = {}
        for place, raw in enumerate(value[: CALLS_AT_MOST + 1]):
            try:
                found.append(_record(raw))
            except Wrong as error:
                wrong[place] = {error.field: [error.sentence]}
                if len(wrong) == actions.WRONG_AT_MOST:
                    break
        if wrong:
            raise ValidationError(cast(Any, wrong))
        return found


def _record(raw: Any) -> tuple[int, Call]:
    if not isinstance(raw, dict):
        raise Wrong("_schema", "A record is an object.")
    if unknown := raw.keys() - NAMES:
        raise Wrong(min(unknown), "Unknown field.")
    company_id = raw.get("company_id")
    if type(company_id) is not int or not 1 <= company_id <= LARGEST_ID:
        raise Wrong("company_id", "Each record names its company by number.")
    return company_id, read(raw, strict_moment)


class NewCallRecords(Shape):
    records = NewCalls(
        fields.Nested(NewCallRecord),
        required=True,
        validate=validate.Length(1, CALLS_AT_MOST),
        metadata={"description": "All of them are taken or none."},
    )


class CallQuery(ListQuery):
    company_id = InAddress(metadata={"description": "Whose; a company’s token may leave it out."})
    number = Text(most=NUMBER_LENGTH, metadata={"description": "Whom called or was called, by the last digits."})
    call_id = fields.String(validate=Whole(f"^{CALL_ID.pattern}$", error="This is no Call-ID."))
    result = Word(Outcome)
    since = Moment(metadata={"description": "Started from this moment on."})
    until = Moment(metadata={"description": "Started before this moment."})
    sort = sorted_by(CALL_ORDERS)


@blueprint.lists("", CallQuery, CallRecordShape, summary="List calls of a company")
def list_call_records(query: dict[str, Any]) -> Piece[Any]:
    """The newest first. A number is looked for among the newest 5,000 that end alike."""
    company_id = _company_id(query)
    filters = CallFilter(
        query.get("number", ""), query.get("call_id", ""), query.get("result"), query.get("since"), query.get("until")
    )
    found = queries.records(company_id, wanted(query, CALL_ORDERS), filters)
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.does("", TakenShape, body=NewCallRecords, of_version=False, summary="Add call records")
def add_call_records(body: dict[str, Any]) -> Answer:
    """At most 10,000, all or none. The same again changes nothing, whether its Idempotency-Key is the same or not."""
    try:
        return Answer(actions.take_calls(body["records"], clock.utcnow()))
    except actions.BadCallsError as refused:
        _refuse(refused)


def _refuse(refused: actions.BadCallsError) -> NoReturn:
    problems = [
        {"detail": each.sentence, "pointer": f"/records/{place}/{each.field}"} for place, each in refused.wrong.items()
    ]
    first = problems[0]
    raise Refusal(422, f"{first['pointer'].lstrip('/')}: {first['detail']}", problems)


def _company_id(query: dict[str, Any]) -> int:
    """Whose calls are asked for: of a company's token its own, whatever it names otherwise is not there."""
    own, named = access.key().company_id, query.get("company_id")
    if own is not None:
        if named not in {None, own}:
            raise NotFound
        return own
    if named is None:
        sentence = "Say of which company."
        raise Refusal(422, sentence, [{"detail": sentence, "parameter": "company_id"}])
    if company_by_id(named) is None:
        raise NotFound
    return int(named)


def _shown(found: CallRecord) -> dict[str, Any]:
    names = ("company_id", "call_id", "started_at", "ringing_at", "answered_at", "ended_at", "code")
    shown = {name: getattr(found, name) for name in (*names, "service_id")}
    shown |= {"from_": found.from_number, "to": found.to_number, "result": found.outcome}
    return shown if access.key().company_id is not None else shown | {"trunk": found.trunk, "carrier": found.carrier}
