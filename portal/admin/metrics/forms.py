"""The shape of a metric, and a file of its samples."""

from collections.abc import Iterable

from flask_wtf.file import FileField
from wtforms import IntegerField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, NumberRange

from portal.admin.forms import RowForm, StaffForm, VersionField, choices_of
from portal.usage.actions import LARGEST_POSITION, Wanted
from portal.usage.rules import (
    DECIMALS_AT_MOST,
    KEY_LENGTH,
    LONGEST_INTERVAL,
    NAME_LENGTH,
    SHORTEST_INTERVAL,
    UNIT_LENGTH,
)


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
    portals = SelectMultipleField("Shown on the status page of", coerce=int)

    def offer(self, services: Iterable[tuple[int, str]], portals: Iterable[tuple[int, str]]) -> None:
        """Offer these to choose from."""
        self.service.choices = choices_of([(0, "None"), *services])
        self.portals.choices = choices_of(portals)

    def wanted(self, company_id: int | None) -> Wanted:
        """What is typed."""
        return Wanted(
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


class NewMetricForm(MetricForm):
    """And whom it is about."""

    company = StringField("Company", validators=[Length(max=200, message="A name has at most 200 characters.")])


class EditMetricForm(MetricForm):
    """And the version it was opened with."""

    version = VersionField(validators=[InputRequired()])


class UploadForm(RowForm):
    """A file of times and values."""

    file = FileField("File")
