"""The shape of a metric, and a file of its samples."""

from collections.abc import Iterable
from dataclasses import replace

from flask_wtf.file import FileField
from wtforms import BooleanField, IntegerField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, ValidationError

from portal.admin.forms import RowForm, StaffForm, VersionField, choices_of
from portal.usage.actions import LARGEST_POSITION, Wanted
from portal.usage.rules import (
    DECIMALS_AT_MOST,
    KEY_LENGTH,
    LONGEST_INTERVAL,
    NAME_LENGTH,
    SHORTEST_INTERVAL,
    TRUNK_LENGTH,
    UNIT_LENGTH,
    Measure,
    exact,
)

MEASURES = {
    Measure.CUSTOM: "A figure of its own",
    Measure.BALANCE: "The balance",
    Measure.CPS: "Calls a second",
    Measure.CHANNELS: "Calls in progress (channels)",
}
"""What samples may say of a company; its other figures are counted from call records."""


def _whole(label: str, least: int, most: int, default: int) -> IntegerField:
    sentence = f"Type a number from {least:,} to {most:,}."
    return IntegerField(
        label, default=default, validators=[InputRequired(sentence), NumberRange(least, most, sentence)]
    )


class MetricForm(StaffForm):
    """How a metric is called, read and shown."""

    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the metric a name."),
            Length(max=NAME_LENGTH, message=f"A name has at most {NAME_LENGTH} characters."),
        ],
    )
    key = StringField(
        "Key",
        validators=[
            InputRequired("Give the metric a key."),
            Length(max=KEY_LENGTH, message=f"A key has at most {KEY_LENGTH} characters."),
        ],
    )
    unit = StringField("Unit", validators=[Length(max=UNIT_LENGTH, message=f"At most {UNIT_LENGTH} characters.")])
    decimals = _whole("Digits behind the point", 0, DECIMALS_AT_MOST, 0)
    interval = _whole("Seconds from one sample to the next", SHORTEST_INTERVAL, LONGEST_INTERVAL, 60)
    position = _whole("Place in the list", 0, LARGEST_POSITION, 0)
    service = SelectField("Service", coerce=int, default=0)
    measure = SelectField("What it delivers", default=Measure.CUSTOM.value, choices=choices_of(MEASURES.items()))
    trunk = StringField("Trunk", validators=[Length(max=TRUNK_LENGTH, message=f"At most {TRUNK_LENGTH} characters.")])
    debit_limit = StringField("Debit limit", validators=[Length(max=40, message="At most 40 characters.")])
    is_shown = BooleanField("The company’s people see it among their figures")
    portals = SelectMultipleField("Shown on the status page of", coerce=int)

    def validate_debit_limit(self, field: StringField) -> None:
        if (field.data or "").strip():
            try:
                exact(field.data or "")
            except ValueError as error:
                raise ValidationError(str(error)) from None

    def offer(self, services: Iterable[tuple[int, str]], portals: Iterable[tuple[int, str]]) -> None:
        """Offer these to choose from."""
        self.service.choices = choices_of([(0, "None"), *services])
        self.portals.choices = choices_of(portals)

    def wanted(self, company_id: int | None) -> Wanted:
        """What is typed. What only a figure of a company has is left out of one for everybody."""
        wanted = Wanted(
            key=self.key.data or "",
            name=self.name.data or "",
            unit=self.unit.data or "",
            decimals=self.decimals.data or 0,
            interval=self.interval.data or 0,
            position=self.position.data or 0,
            company_id=company_id,
            service_id=self.service.data or None,
            domain_ids=frozenset(self.portals.data or ()),
        )
        if company_id is None:
            return wanted
        limit = (self.debit_limit.data or "").strip()
        return replace(
            wanted,
            measure=Measure(self.measure.data),
            trunk=self.trunk.data or "",
            debit_limit=exact(limit) if limit else None,
            is_shown=bool(self.is_shown.data),
        )


class NewMetricForm(MetricForm):
    """And whom it is about."""

    company = StringField("Company", validators=[Length(max=200, message="A name has at most 200 characters.")])


class EditMetricForm(MetricForm):
    """And the version it was opened with."""

    version = VersionField(validators=[InputRequired()])


class UploadForm(RowForm):
    """A file of times and values."""

    file = FileField("File")
