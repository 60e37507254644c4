"""What a sample looks like coming in, and what went wrong with one."""

from typing import Any, NoReturn

from marshmallow import ValidationError, fields, validate

from portal import clock
from portal.api.v1.fields import Id, Moment
from portal.api.v1.requests import Refusal
from portal.api.v1.schemas import Shape
from portal.usage import actions
from portal.usage.rules import BATCH_AT_MOST, Sample, exact

BOUND = 999_999_999_999
"""The largest value taken, either way."""


class Value(fields.Float):
    """What was measured: a finite number. Fifteen digits are exact, to the millionth."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(validate=validate.Range(-BOUND, BOUND), **rest)

    def _validated(self, value: Any) -> Any:
        if type(value) not in {int, float}:
            raise self.make_error("invalid", input=value)
        if abs(value) > BOUND:
            raise ValidationError(f"Must be between {-BOUND} and {BOUND}.")
        return exact(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **rest: Any) -> float | None:
        return None if value is None else float(value)


class NewSample(Shape):
    at = Moment(required=True)
    value = Value(required=True)


class NewSampleOf(NewSample):
    metric_id = Id(required=True)


def batch_of(shape: type[Shape]) -> Any:
    """The samples of a body."""
    return fields.List(
        fields.Nested(shape),
        required=True,
        validate=validate.Length(1, BATCH_AT_MOST),
        metadata={"description": "All of them are taken or none. Of one moment of a metric the last one stands."},
    )


class NewSamples(Shape):
    samples = batch_of(NewSample)


class NewSamplesOfSeveral(Shape):
    samples = batch_of(NewSampleOf)


class TakenShape(Shape):
    taken = fields.Integer(required=True, metadata={"description": "New, or with another value than before."})
    known = fields.Integer(required=True, metadata={"description": "There already, or overtaken within the batch."})


def take(batch: list[tuple[int, Sample]]) -> actions.Taken:
    """Take a batch; Refusal that points at each sample that cannot be."""
    try:
        return actions.take_samples(batch, clock.utcnow())
    except actions.BadSamplesError as refused:
        _refuse(refused)


def _refuse(refused: actions.BadSamplesError) -> NoReturn:
    problems = [{"detail": sentence, "pointer": f"/samples/{place}"} for place, sentence in refused.sentences.items()]
    first = problems[0]
    raise Refusal(422, f"{first['pointer'].lstrip('/')}: {first['detail']}", problems)
