"""`/api/v1/alerts`: what is watched for whom, how it stands, and what happened."""

import secrets
from dataclasses import replace
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource, Right, right
from portal.alerts import actions, queries
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.queries import ALERT_ORDERS, EVENT_ORDERS, OwnAlert
from portal.alerts.rules import (
    ADDRESS_LENGTH,
    LEAST_COUNT,
    SCRIPT_LENGTH,
    TAG_LENGTH,
    TITLE_LENGTH,
    TRUNK_LENGTH,
    AlertArea,
    AlertState,
    Happening,
    Lack,
    Level,
    Maker,
    Operator,
    Repeat,
)
from portal.alerts.rules.checks import LARGEST_COUNT, LONGEST_WAIT, LONGEST_WINDOW, RECIPIENTS_AT_MOST, Wanted
from portal.alerts.telling import send_test
from portal.api.v1.fields import Id, InAddress, Moment, Number, Switch, SwitchInAddress, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version, idempotency_key
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.usage.shapes import Value
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.keyset import Order, Piece

blueprint = Resources(
    Resource.ALERTS,
    Area.ALERTS,
    about="Which figures of companies are watched, when that is bad, and who hears of it. An alert is for one company "
    "or for each with a tag, and stands for each by itself. A company’s token sees the alerts that watch it and "
    "how they stand for it. Times are seconds.",
)

NAME = "/<string(maxlength=40):alert_id>"
STAFF_ONLY = {"description": "Not for a company’s token."}
STATE_ORDERS = {"company_id": Order((AlertWatch.company_id,))}


class AlertShape(Shape):
    public_id = fields.String(required=True)
    title = fields.String(required=True)
    company_id = fields.Integer(allow_none=True, metadata={"description": "Null where it is for a tag."})
    tag = fields.String(allow_none=True, metadata=STAFF_ONLY)
    area = Word(AlertArea, required=True, metadata={"description": "What is watched."})
    service_id = fields.Integer(required=True, allow_none=True)
    trunk = fields.String(required=True)
    metric_id = fields.Integer(required=True, allow_none=True)
    script = fields.String(metadata=STAFF_ONLY)
    operator = Word(Operator, required=True)
    threshold = Value(required=True, allow_none=True)
    reset = Value(required=True, allow_none=True, metadata={"description": "From which value on it is normal again."})
    window = fields.Integer(required=True, metadata={"description": "The sample period; 0 where there is none."})
    least_count = fields.Integer(required=True, metadata={"description": "By fewer calls it is not judged."})
    must_last = fields.Integer(required=True)
    must_be_well = fields.Integer(required=True)
    repeat = Word(Repeat, required=True)
    repeat_hour = fields.Integer(required=True, allow_none=True)
    zone = fields.String(required=True, metadata={"description": "Empty: that of each company’s portal."})
    level = Word(Level, required=True)
    is_on = fields.Boolean(required=True)
    tells_normal = fields.Boolean(required=True)
    tells_contacts = fields.Boolean(metadata=STAFF_ONLY)
    opens_draft = fields.Boolean(metadata=STAFF_ONLY)
    template_id = fields.Integer(allow_none=True, metadata=STAFF_ONLY)
    recipients = fields.List(
        fields.String(), metadata={"description": "For tokens that may change alerts; they are addresses."}
    )
    made_by = Word(Maker, required=True)
    created_at = Moment(required=True)
    archived_at = Moment(required=True, allow_none=True)
    version = fields.Integer(metadata=STAFF_ONLY)


class AlertQuery(ListQuery):
    company_id = InAddress(metadata={"description": "Those that watch this company."})
    area = Word(AlertArea)
    is_on = SwitchInAddress()
    is_archived = SwitchInAddress()
    sort = sorted_by(ALERT_ORDERS)


class EventQuery(ListQuery):
    company_id = InAddress(metadata={"description": "What happened for this company."})
    sort = sorted_by(EVENT_ORDERS)


class StateQuery(ListQuery):
    sort = sorted_by(STATE_ORDERS)


class AlertStateShape(Shape):
    company_id = fields.Integer(required=True)
    state = Word(AlertState, required=True)
    since = Moment(required=True)
    is_triggered = fields.Boolean(
        required=True, metadata={"description": "As far as anybody knows: no data makes nothing well."}
    )
    triggered_at = Moment(required=True, allow_none=True)
    lack = Word(Lack, required=True, allow_none=True, metadata={"description": "Why there is nothing to judge by."})
    value = Value(required=True, allow_none=True)
    count = fields.Integer(required=True, allow_none=True, metadata={"description": "The calls behind the value."})
    value_at = Moment(required=True, allow_none=True)
    last_sent_at = Moment(required=True, allow_none=True)
    held_until = Moment(required=True, allow_none=True, metadata={"description": "Until then too unstable to tell."})
    muted_since = Moment(allow_none=True, metadata=STAFF_ONLY)


class AlertEventShape(Shape):
    id = fields.Integer(metadata=STAFF_ONLY)
    at = Moment(required=True)
    company_id = fields.Integer(required=True)
    kind = Word(Happening, required=True)
    value = Value(required=True, allow_none=True)
    count = fields.Integer(required=True, allow_none=True)
    note = fields.String(metadata=STAFF_ONLY)
    broadcast_id = fields.Integer(allow_none=True, metadata=STAFF_ONLY)


def _title(**rest: Any) -> Text:
    return Text(least=1, most=TITLE_LENGTH, **rest)


def _recipients(**rest: Any) -> fields.List[Any]:
    about = {"description": "E-mail addresses, and phone numbers with their country, such as +442079460123."}
    return fields.List(
        Text(least=1, most=ADDRESS_LENGTH), validate=validate.Length(max=RECIPIENTS_AT_MOST), metadata=about, **rest
    )


class AlertFields(Shape):
    """What may be said of an alert as well when it is made as later."""

    title = _title()
    area = Word(AlertArea)
    service_id = Id(allow_none=True)
    trunk = Text(most=TRUNK_LENGTH)
    metric_id = Id(allow_none=True)
    script = Text(most=SCRIPT_LENGTH)
    operator = Word(Operator)
    threshold = Value(allow_none=True)
    reset = Value(allow_none=True)
    window = Number(least=0, most=LONGEST_WINDOW)
    least_count = Number(least=0, most=LARGEST_COUNT)
    must_last = Number(least=0, most=LONGEST_WAIT)
    must_be_well = Number(least=0, most=LONGEST_WAIT)
    repeat = Word(Repeat)
    repeat_hour = Number(least=0, most=23, allow_none=True)
    zone = Text(most=64)
    level = Word(Level)
    tells_normal = Switch()
    tells_contacts = Switch()
    opens_draft = Switch()
    template_id = Id(allow_none=True)
    recipients = _recipients()


class NewAlert(AlertFields):
    """For one company or for a tag. What belongs to another area counts for nothing."""

    company_id = Id(load_default=None, allow_none=True)
    tag = Text(most=TAG_LENGTH, load_default=None, allow_none=True)
    title = _title(required=True)
    area = Word(AlertArea, required=True)
    operator = Word(Operator, load_default=Operator.MORE)
    window = Number(least=0, most=LONGEST_WINDOW, load_default=900)
    least_count = Number(least=0, most=LARGEST_COUNT, load_default=LEAST_COUNT)
    is_on = Switch(load_default=True)


class AlertChange(AlertFields):
    """What is not named stays. So does whom it is for."""

    is_on = Switch()


class TestOf(Shape):
    """With whose figures it is tested."""

    company_id = Id(load_default=None, allow_none=True, metadata={"description": "Needed for one that is for a tag."})


class TestedShape(Shape):
    broadcast_id = fields.Integer(required=True)


@blueprint.lists("", AlertQuery, AlertShape, summary="List alerts")
def list_alerts(query: dict[str, Any]) -> Piece[Any]:
    """For a company’s token those that watch it."""
    own = _own()
    asked = query.get("company_id")
    if own is not None and asked not in {None, own}:
        return Piece([], None)
    found = queries.alerts(
        wanted(query, ALERT_ORDERS),
        company_id=own or asked,
        area=query.get("area"),
        is_on=query.get("is_on"),
        is_archived=False if own is not None else query.get("is_archived"),
    )
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", NewAlert, AlertShape, summary="Add an alert")
def add_alert(body: dict[str, Any]) -> Answer:
    """It is looked at within a minute, and triggered if it is bad already."""
    is_on = body.pop("is_on")
    by, now = access.actor(), clock.utcnow()
    wish = Wanted(**{name: value for name, value in _typed(body).items() if value is not None or name in NULLABLE})
    try:
        made = actions.add_alert(wish, by=by, now=now, idempotency_key=f"api:{_key()}")
        if not is_on:
            actions.switch_alert(made, False, version=made.version, by=by, now=now)
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(made), f"/alerts/{made.public_id}")


@blueprint.reads(NAME, AlertShape, summary="Read an alert")
def read_alert(alert_id: str) -> Answer:
    return Answer(_shown(_alert(alert_id)))


@blueprint.changes(NAME, AlertChange, AlertShape, summary="Change an alert")
def change_alert(alert_id: str, body: dict[str, Any]) -> Answer:
    """Where something else is watched than before, it is normal without a word and looked at anew."""
    found = _alert(alert_id)
    version = expected_version(found.version)
    by, now = access.actor(), clock.utcnow()
    is_on = body.pop("is_on", None)
    try:
        wish = replace(actions.wanted_of(found), **_typed(body))
        actions.edit_alert(found, wish, version=version, by=by, now=now)
        if is_on is not None:
            actions.switch_alert(found, is_on, version=found.version, by=by, now=now)
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/archive", AlertShape, summary="Archive an alert")
def archive_alert(alert_id: str) -> Answer:
    """Nothing is watched any more, and nobody is told. What happened stays; the alert does not come back."""
    found = _alert(alert_id)
    actions.archive_alert(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.lists(f"{NAME}/states", StateQuery, AlertStateShape, summary="List how an alert stands")
def list_alert_states(alert_id: str, query: dict[str, Any]) -> Piece[Any]:
    """One for each company it watches."""
    found = _alert(alert_id)
    piece = queries.watches(wanted(query, STATE_ORDERS), found.id, company_id=_own())
    return Piece([_standing(each) for each in piece.items], piece.next)


@blueprint.lists(f"{NAME}/events", EventQuery, AlertEventShape, summary="List what happened to an alert")
def list_alert_events(alert_id: str, query: dict[str, Any]) -> Piece[Any]:
    found, own = _alert(alert_id), _own()
    asked = query.get("company_id")
    if own is not None and asked not in {None, own}:
        return Piece([], None)
    piece = queries.events(
        wanted(query, EVENT_ORDERS), found.id, company_id=own or asked, is_for_customers=own is not None
    )
    return Piece([_happened(each) for each in piece.items], piece.next)


@blueprint.does(f"{NAME}/test", TestedShape, body=TestOf, of_version=False, summary="Test an alert")
def test_alert(alert_id: str, body: dict[str, Any]) -> Answer:
    """Says how it stands now to everybody it names, marked as a test. Nothing else changes."""
    found, now = _alert(alert_id), clock.utcnow()
    company_id = body["company_id"] or found.company_id
    if company_id is None:
        raise RuleViolation("Say with whose figures it is tested: it is for several companies.", "company_id")
    if queries.watch_of(found.id, company_id) is None:
        raise RuleViolation("It does not watch this company.", "company_id")
    made = send_test(
        found,
        company_id,
        actions.reading_now(found, company_id, now),
        to_all=True,
        person_id=None,
        by=access.actor(),
        now=now,
    )
    return Answer({"broadcast_id": made.id})


# What they share

NULLABLE = frozenset(
    {"company_id", "tag", "service_id", "metric_id", "threshold", "reset", "repeat_hour", "template_id"}
)
"""What may be nothing."""


def _own() -> int | None:
    """The company whose token asks; None for one of the whole house."""
    return access.key().company_id


def _alert(alert_id: str) -> Alert:
    """The alert of the address; NotFound where there is none for this token."""
    own = _own()
    if own is None:
        return queries.found_or_404(queries.alert_for_staff(alert_id))
    seen: OwnAlert | None = queries.alert_of(own, alert_id)
    return queries.found_or_404(seen.alert if seen is not None else None)


def _key() -> str:
    """What makes the same request the same alert."""
    given = idempotency_key()
    return f"{access.key().token_id}:{given}" if given else secrets.token_urlsafe(18)


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    """A body as fields of `Wanted`."""
    return {name: tuple(value) if name == "recipients" else value for name, value in body.items()}


def _here(violation: RuleViolation) -> RuleViolation:
    """The same, pointed at by the names of the body."""
    names = {"company": "company_id", "service": "service_id", "metric": "metric_id", "template": "template_id"}
    return RuleViolation(violation.sentence, names.get(violation.field or "", violation.field))


PLAIN = (
    *("public_id", "title", "area", "service_id", "trunk", "metric_id", "operator", "threshold", "reset"),
    *("window", "least_count", "must_last", "must_be_well", "repeat", "repeat_hour", "zone", "level", "is_on"),
    *("tells_normal", "made_by", "created_at", "archived_at"),
)
FOR_STAFF = ("company_id", "tag", "script", "tells_contacts", "opens_draft", "template_id", "version")


def _shown(found: Alert) -> dict[str, Any]:
    own, key = _own(), access.key()
    shown = {name: getattr(found, name) for name in PLAIN}
    if own is not None:
        return shown | {"company_id": found.company_id}
    shown |= {name: getattr(found, name) for name in FOR_STAFF}
    if right(key.scope, Resource.ALERTS, for_company=False) is Right.WRITE:
        shown["recipients"] = [each.address for each in found.recipients]
    return shown


STANDING = (
    *("company_id", "state", "since", "triggered_at", "lack", "value", "count", "value_at", "last_sent_at"),
    "held_until",
)


def _standing(watch: AlertWatch) -> dict[str, Any]:
    shown = {name: getattr(watch, name) for name in STANDING}
    shown["is_triggered"] = AlertState.TRIGGERED in {watch.state, watch.kept}
    if _own() is None:
        shown["muted_since"] = watch.muted_since
    return shown


def _happened(event: AlertEvent) -> dict[str, Any]:
    shown = {name: getattr(event, name) for name in ("at", "kind", "value", "count")}
    shown["company_id"] = event.watch.company_id
    if _own() is None:
        shown |= {name: getattr(event, name) for name in ("id", "note", "broadcast_id")}
    return shown
