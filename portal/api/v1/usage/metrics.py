"""`/api/v1/metrics`: what is measured, its samples, and the figures they come to."""

from datetime import datetime, timedelta
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, Number, Switch, SwitchInAddress, Text, Whole, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.usage.shapes import NewSamples, TakenShape, Value, take
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.usage import actions, queries
from portal.usage.models import Metric
from portal.usage.queries import METRIC_ORDERS, SAMPLE_ORDERS, SERIES_AT_MOST
from portal.usage.rules import (
    DECIMALS_AT_MOST,
    KEY,
    KEY_LENGTH,
    LONGEST_INTERVAL,
    NAME_LENGTH,
    SHORTEST_INTERVAL,
    TRUNK_LENGTH,
    UNIT_LENGTH,
    Figure,
    Measure,
    Sample,
    Step,
)

blueprint = Resources(
    Resource.METRICS,
    about="What is measured again and again: for everybody, shown on the status pages of chosen portal domains, or "
    "about one company: its balance, its calls a second, its channels, or something of its own. Samples are kept one "
    "by one for a while; figures of five minutes, hours and days of UTC are made of them at once and kept for longer.",
)

NAME = "/<int:metric_id>"

SAMPLED = [each for each in Measure if each.is_sampled]

WANTED = (
    "key",
    "name",
    "unit",
    "decimals",
    "interval",
    "position",
    "company_id",
    "service_id",
    "measure",
    "trunk",
    "debit_limit",
    "is_shown",
)
"""What a metric is made and changed by, but for where it is shown."""


class MetricShape(Shape):
    id = fields.Integer(required=True)
    key = fields.String(required=True)
    name = fields.String(required=True)
    unit = fields.String(required=True)
    decimals = fields.Integer(required=True, metadata={"description": "Digits people read behind the point."})
    interval = fields.Integer(required=True, metadata={"description": "Seconds from one sample to the next."})
    position = fields.Integer(required=True)
    company_id = fields.Integer(required=True, allow_none=True, metadata={"description": "Null: for everybody."})
    service_id = fields.Integer(required=True, allow_none=True)
    measure = Word(Measure, required=True, allow_none=True, metadata={"description": "Null: of no company."})
    trunk = fields.String(required=True)
    debit_limit = Value(required=True, allow_none=True)
    is_shown = fields.Boolean(required=True)
    portal_ids = fields.List(fields.Integer(), required=True)
    created_at = Moment(required=True)
    archived_at = Moment(required=True, allow_none=True)
    version = fields.Integer(required=True)


class MetricQuery(ListQuery):
    company_id = InAddress(metadata={"description": "Those about this company."})
    is_archived = SwitchInAddress()
    sort = sorted_by(METRIC_ORDERS)


def _key(**rest: Any) -> fields.String:
    pattern = f"^{KEY.pattern}$"
    sentence = "A key is made of small letters, digits, points, dashes and underscores."
    return fields.String(
        validate=[validate.Length(1, KEY_LENGTH), Whole(pattern, error=sentence)],
        metadata={"description": "By which machines know it, and part of its address.", "example": "pdd-london"},
        **rest,
    )


def _measure(**rest: Any) -> Word:
    return Word(
        Measure,
        only=SAMPLED,
        allow_none=True,
        metadata={
            "description": "Which figure of its company it delivers; custom where none is named. The other figures are "
            "counted from call records, and available credit from the balance."
        },
        **rest,
    )


def _trunk(**rest: Any) -> Text:
    about = "Of one trunk of the company, which only staff see."
    return Text(most=TRUNK_LENGTH, metadata={"description": about}, **rest)


def _debit_limit(**rest: Any) -> Value:
    about = "Of a balance: how far it may fall below nothing. Available credit is the balance and this."
    return Value(allow_none=True, metadata={"description": about}, **rest)


def _is_shown(**rest: Any) -> Switch:
    return Switch(metadata={"description": "Of a custom one: the company's people see it, under its name."}, **rest)


class NewMetric(Shape):
    key = _key(required=True)
    name = Text(required=True, least=1, most=NAME_LENGTH)
    unit = Text(most=UNIT_LENGTH, load_default="")
    decimals = Number(least=0, most=DECIMALS_AT_MOST, load_default=0)
    interval = Number(least=SHORTEST_INTERVAL, most=LONGEST_INTERVAL, load_default=60)
    position = Number(least=0, most=actions.LARGEST_POSITION, load_default=0)
    company_id = Id(load_default=None, allow_none=True)
    service_id = Id(load_default=None, allow_none=True)
    measure = _measure(load_default=None)
    trunk = _trunk(load_default="")
    debit_limit = _debit_limit(load_default=None)
    is_shown = _is_shown(load_default=False)
    portal_ids = ids(load_default=list)


class MetricChange(Shape):
    key = _key()
    name = Text(least=1, most=NAME_LENGTH)
    unit = Text(most=UNIT_LENGTH)
    decimals = Number(least=0, most=DECIMALS_AT_MOST)
    interval = Number(least=SHORTEST_INTERVAL, most=LONGEST_INTERVAL)
    position = Number(least=0, most=actions.LARGEST_POSITION)
    service_id = Id(allow_none=True)
    measure = _measure()
    trunk = _trunk()
    debit_limit = _debit_limit()
    is_shown = _is_shown()
    portal_ids = ids()


class SampleShape(Shape):
    at = Moment(required=True)
    value = Value(required=True)


class SampleQuery(ListQuery):
    since = Moment(metadata={"description": "From this moment on."})
    until = Moment(metadata={"description": "Before this moment."})
    sort = sorted_by(SAMPLE_ORDERS)


class SeriesQuery(Shape):
    step = Word(Step, load_default=Step.HOUR)
    since = Moment(metadata={"description": "Usually so many steps ago as one answer holds."})
    until = Moment(metadata={"description": "Before this moment; usually now."})


class FigureShape(Shape):
    at = Moment(required=True, metadata={"description": "When the step began."})
    count = fields.Integer(required=True)
    mean = fields.Float(required=True)
    total = fields.Float(required=True)
    least = fields.Float(required=True)
    most = fields.Float(required=True)
    last = fields.Float(required=True)
    last_at = Moment(required=True)


class SeriesShape(Shape):
    metric_id = fields.Integer(required=True)
    step = Word(Step, required=True)
    figures = fields.List(fields.Nested(FigureShape), required=True)
    next_since = Moment(
        required=True,
        allow_none=True,
        metadata={"description": f"Where to go on; null at the end. An answer has at most {SERIES_AT_MOST} figures."},
    )


@blueprint.lists("", MetricQuery, MetricShape, summary="List metrics")
def list_metrics(query: dict[str, Any]) -> Piece[Any]:
    found = queries.metrics(
        wanted(query, METRIC_ORDERS), company_id=query.get("company_id"), is_archived=query.get("is_archived")
    )
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", NewMetric, MetricShape, summary="Have something measured")
def add_metric(body: dict[str, Any]) -> Answer:
    try:
        made = actions.add_metric(_wanted(body), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(made), f"/metrics/{made.id}")


@blueprint.reads(NAME, MetricShape, summary="Read a metric")
def read_metric(metric_id: int) -> Answer:
    return Answer(_shown(_metric(metric_id)))


@blueprint.changes(NAME, MetricChange, MetricShape, summary="Change a metric")
def change_metric(metric_id: int, body: dict[str, Any]) -> Answer:
    """It stays with whom it is about."""
    found = _metric(metric_id)
    version = expected_version(found.version)
    try:
        actions.edit_metric(
            found, _wanted(_shown(found) | body), version=version, by=access.actor(), now=clock.utcnow()
        )
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/archive", MetricShape, summary="Measure it no longer")
def archive_metric(metric_id: int) -> Answer:
    """No more samples are taken, and no page shows it. What was measured is kept as long as anything is."""
    found = _metric(metric_id)
    actions.archive_metric(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/restore", MetricShape, summary="Measure it again")
def restore_metric(metric_id: int) -> Answer:
    found = _metric(metric_id)
    actions.restore_metric(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.lists(f"{NAME}/samples", SampleQuery, SampleShape, summary="List what is kept sample by sample")
def list_samples(metric_id: int, query: dict[str, Any]) -> Piece[Any]:
    found = _metric(metric_id)
    return queries.samples(found.id, wanted(query, SAMPLE_ORDERS), since=query.get("since"), until=query.get("until"))


@blueprint.does(f"{NAME}/samples", TakenShape, body=NewSamples, of_version=False, summary="Add samples of a metric")
def add_samples(metric_id: int, body: dict[str, Any]) -> Answer:
    """At most 10,000, all or none. The same again changes nothing, whether its Idempotency-Key is the same or not."""
    found = _metric(metric_id)
    return Answer(take([(found.id, Sample(each["at"], each["value"])) for each in body["samples"]]))


@blueprint.asks(f"{NAME}/series", SeriesQuery, SeriesShape, summary="Read the figures of a metric")
def read_series(metric_id: int, query: dict[str, Any]) -> Answer:
    """What its samples come to by five minutes, hours or days. Where nothing was measured there is no figure."""
    found, step, now = _metric(metric_id), query["step"], clock.utcnow()
    until = query.get("until", now + timedelta(minutes=5))
    since = query.get("since")
    if since is None:
        since = _earlier(until, step)
    figures = queries.series(found.id, step, step.begin(since), until)
    is_whole = len(figures) < SERIES_AT_MOST
    return Answer(
        {
            "metric_id": found.id,
            "step": step,
            "figures": [_figure(each) for each in figures],
            "next_since": None if is_whole else figures[-1].at + timedelta(seconds=step.seconds),
        }
    )


def _earlier(until: datetime, step: Step) -> datetime:
    try:
        return until - timedelta(seconds=step.seconds * SERIES_AT_MOST)
    except OverflowError:
        return until


def _figure(figure: Figure) -> dict[str, Any]:
    numbers = {name: float(getattr(figure, name)) for name in ("mean", "total", "least", "most", "last")}
    return {"at": figure.at, "count": figure.count, "last_at": figure.last_at, **numbers}


def _metric(metric_id: int) -> Metric:
    found = queries.metric_by_id(metric_id)
    if found is None:
        raise NotFound
    return found


def _wanted(body: dict[str, Any]) -> actions.Wanted:
    return actions.Wanted(**{name: body[name] for name in WANTED}, domain_ids=frozenset(body["portal_ids"]))


def _here(violation: RuleViolation) -> RuleViolation:
    """The same, pointed at by the names of the body."""
    names = {"company": "company_id", "service": "service_id", "portals": "portal_ids"}
    return RuleViolation(violation.sentence, names.get(violation.field or "", violation.field))


def _shown(found: Metric) -> dict[str, Any]:
    names = ("id", *WANTED, "created_at", "archived_at", "version")
    return {**{name: getattr(found, name) for name in names}, "portal_ids": [each.domain_id for each in found.portals]}
