"""The shape of jobs and quotes, of their lines, and of what is done to many of them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from flask import request
from wtforms import (
    BooleanField,
    DateField,
    DateTimeLocalField,
    HiddenField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.errors import RuleViolation
from portal.jobs.actions.items import Facts
from portal.jobs.actions.moves import TEXT_LENGTH
from portal.jobs.models import QuoteLine, WorkItem
from portal.jobs.rules.amounts import CURRENCIES, LINES_AT_MOST, LineGiven, read_number, written
from portal.localtime import LocalTimeError, Reading, TwiceError, moment_of, readings

READINGS = choices_of(
    [(Reading.FIRST.value, "The first, before clocks go back"), (Reading.SECOND.value, "The second, an hour later")]
)

BLANK_ROWS = 3
"""Empty rows under the lines of a quote: what is needed without script."""


def _id(value: str | None) -> int | None:
    """A choice as the id it stands for; nothing chosen is None."""
    return int(value) if value else None


class FactsForm(StaffForm):
    """What an item says. Times are those of a clock in the reader's zone."""

    title = StringField("Title", [InputRequired("Give it a title."), Length(max=400)])
    description = TextAreaField("Description", [Optional(), Length(max=TEXT_LENGTH * 2)])
    contact_id = SelectField("Contact", coerce=_id, validate_choice=False)
    site = StringField("Site", [Optional(), Length(max=600)])
    holding_id = SelectField("About", coerce=_id, validate_choice=False)
    starts_at = DateTimeLocalField("From", [Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    ends_at = DateTimeLocalField("To", [Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    reading = RadioField("Which of the two", choices=READINGS, validators=[Optional()], validate_choice=False)
    assignee_id = SelectField("Who does it", coerce=_id, validate_choice=False)
    external_number = StringField("Number elsewhere", [Optional(), Length(max=240)])
    valid_until = DateField("Valid until", [Optional()])
    currency = SelectField("Currency", choices=choices_of((each, each) for each in CURRENCIES), default=CURRENCIES[0])
    terms = TextAreaField("Terms", [Optional(), Length(max=TEXT_LENGTH * 2)])

    def facts(self, zone: tzinfo) -> Facts:
        """What was typed, with its times as moments; RuleViolation for a time no clock shows, or shows twice."""
        return Facts(
            title=self.title.data or "",
            contact_id=self.contact_id.data,
            site=self.site.data or "",
            holding_id=self.holding_id.data,
            description=self.description.data or "",
            starts_at=self._moment(self.starts_at.data, zone, "starts_at"),
            ends_at=self._moment(self.ends_at.data, zone, "ends_at"),
            assignee_id=self.assignee_id.data,
            external_number=self.external_number.data,
            valid_until=self.valid_until.data,
            terms=self.terms.data or "",
            currency=self.currency.data or CURRENCIES[0],
        )

    def _moment(self, wall: datetime | None, zone: tzinfo, field: str) -> datetime | None:
        if wall is None:
            return None
        which = Reading(self.reading.data) if self.reading.data in {each.value for each in Reading} else None
        try:
            return moment_of(wall, zone, which)
        except TwiceError as twice:
            self.reading.errors = [*self.reading.errors, "Choose one."]
            raise RuleViolation(str(twice), field) from twice
        except LocalTimeError as refused:
            raise RuleViolation(str(refused), field) from refused

    def show_times(self, item: WorkItem, zone: tzinfo) -> None:
        """Put the window of an item into the form, as a clock of the zone shows it."""
        for field, moment in ((self.starts_at, item.starts_at), (self.ends_at, item.ends_at)):
            local = moment.astimezone(zone) if moment else None
            field.data = local.replace(tzinfo=None, fold=0) if local else None
            if local is not None and len(readings(local, zone)) > 1:
                self.reading.data = (Reading.SECOND if local.fold else Reading.FIRST).value


class NewItemForm(FactsForm):
    """A new item, in any status that is in use; `key` makes one that is sent twice one."""

    company_id = HiddenField()
    status_id = SelectField("Status", coerce=_id, validate_choice=False)
    key = HiddenField(validators=[InputRequired(), Length(max=60)])


def fresh_key() -> str:
    """A key for a form that makes something."""
    return secrets.token_urlsafe(16)


class EditItemForm(FactsForm, VersionedForm):
    """The same of one that is there."""


class MoveForm(VersionedForm):
    """Another status for one item, with a reason where it was finished."""

    status = SelectField("Status", coerce=_id, validate_choice=False)
    reason = StringField("Reason", [Optional(), Length(max=1000)])


class ViewForm(StaffForm):
    """Filters under a name."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=200)])
    query = HiddenField(validators=[Length(max=4000)])
    is_shared = BooleanField("Everybody of the staff sees it")


class DayForm(StaffForm):
    """A day to look back to."""

    class Meta:
        csrf = False

    on = DateField("Day", [Optional()])


# Lines


@dataclass(frozen=True)
class LineRow:
    """A row of the form of lines as it is typed, with what is wrong by field."""

    description: str = ""
    quantity: str = ""
    price: str = ""
    tax: str = ""
    errors: tuple[tuple[str, str], ...] = ()

    @property
    def is_blank(self) -> bool:
        return not (self.description.strip() or self.price.strip() or self.quantity.strip())

    def error(self, field: str) -> str:
        """The sentence beside a field, if there is one."""
        return dict(self.errors).get(field, "")


def rows_of(lines: Sequence[QuoteLine]) -> list[LineRow]:
    """Stored lines as they stand in the form."""
    return [
        LineRow(
            line.description,
            written(line.quantity_thousandths, 3),
            written(line.unit_price_minor, 2, 2),
            written(line.tax_hundredths, 2),
        )
        for line in lines
    ]


def rows_sent() -> list[LineRow]:
    """The rows a form brought in their order, blank ones left out; without script a button of a row moves it by one."""
    names = ("description", "quantity", "price", "tax")
    columns = [request.form.getlist(name)[: LINES_AT_MOST + BLANK_ROWS + 1] for name in names]
    rows = [LineRow(*(text[:1000] for text in texts)) for texts in zip(*columns, strict=False)]
    places = [place for place, row in enumerate(rows) if not row.is_blank]
    moved, _, way = request.form.get("move", "").partition(":")
    if moved in map(str, places):
        place = places.index(int(moved))
        beside = place - 1 if way == "up" else place + 1
        if 0 <= beside < len(places):
            places[place], places[beside] = places[beside], places[place]
    return [rows[place] for place in places]


def lines_typed(rows: Sequence[LineRow]) -> tuple[list[LineGiven], list[LineRow]]:
    """The lines these rows stand for, and the rows with what is wrong in them; a quantity left out is one."""
    lines, told = [], []
    for row in rows:
        quantity = read_number(row.quantity or "1", 3)
        price = read_number(row.price or "0", 2)
        tax = read_number(row.tax or "0", 2)
        wrong = [
            (field, sentence)
            for field, value, sentence in (
                ("quantity", quantity, "A number such as 2 or 1.5."),
                ("price", price, "An amount such as 1,250.00."),
                ("tax", tax, "A percentage such as 20."),
            )
            if value is None
        ]
        told.append(LineRow(row.description, row.quantity, row.price, row.tax, tuple(wrong)))
        lines.append(LineGiven(row.description, quantity or 0, price or 0, tax or 0))
    return lines, told


def refused_rows(rows: Sequence[LineRow], violation: RuleViolation) -> list[LineRow]:
    """The rows with the sentence of a refusal beside what it is about (a field such as `price-2`)."""
    field, _, place = (violation.field or "").partition("-")
    return [
        LineRow(row.description, row.quantity, row.price, row.tax, ((field, violation.sentence),))
        if place == str(number)
        else row
        for number, row in enumerate(rows)
    ]


def versions_sent() -> dict[int, int]:
    """The items a form has ticked, by id with the version each was shown in; what means nothing is left out."""
    found: dict[int, int] = {}
    for text in request.form.getlist("item")[:200]:
        item_id, _, version = text.partition(":")
        if all(each.isascii() and each.isdigit() and len(each) < 10 for each in (item_id, version)):
            found[int(item_id)] = int(version)
    return found


def day_end(day: date, zone: tzinfo) -> Any:
    """The last moment of a day in a zone."""
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=zone)
