"""The forms of a report: publishing one, its next update, and correcting both."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.admin.forms import StaffForm, VersionedForm, VersionField
from portal.filters import LOOKS
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility

SEVERITIES = [Severity.MAJOR_OUTAGE, Severity.PARTIAL_RTH, Severity.PERFORMANCE_ISSUE, Severity.NONE]
"""In the order of the choice: who publishes under stress has something that is down."""

STATES = [SelectChoice(state.value, LOOKS["state"][state].label) for state in State]
AUDIENCES = [
    SelectChoice(Audience.EVERYONE.value, "Everyone"),
    SelectChoice(Audience.AFFECTED.value, "Affected companies"),
]
VISIBILITIES = [
    SelectChoice(Visibility.PUBLIC.value, "Public"),
    SelectChoice(Visibility.PRIVATE.value, "Private, staff only"),
]
READERS = [SelectChoice(Visibility.PUBLIC.value, "Customers"), SelectChoice(Visibility.PRIVATE.value, "Staff only")]
PROMISES = [
    SelectChoice(0, "No promise"),
    SelectChoice(15, "in 15 minutes"),
    SelectChoice(30, "in 30 minutes"),
    SelectChoice(60, "in an hour"),
    SelectChoice(120, "in 2 hours"),
]
IMPACTS = [SelectChoice("", "As the severities say"), *(SelectChoice(each.value, each.capitalize()) for each in Impact)]

A_WEEK = 7 * 24 * 60
REQUIRED_TITLE = InputRequired("Give the report a title.")
REQUIRED_TEXT = InputRequired("Say what customers should know.")


class SeveritiesField(Field):
    """Components with a severity each, sent as a box (`components`) and a choice (`components-<id>`) per component.

    Its data are severities by component id; a component without a box is not named.
    """

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data or {}, extra_filters)
        self.data: dict[int, Severity] = dict(self.data)
        if not formdata:
            return
        self.data = {}
        for number in formdata.getlist(self.name):
            severity = formdata.get(f"{self.name}-{number}", SEVERITIES[0].value)
            if not (number.isascii() and number.isdigit() and len(number) < 10) or severity not in list(Severity):
                self.process_errors = ["Choose components and severities from the list."]
                continue
            self.data[int(number)] = Severity(severity)


class _EntryForm(StaffForm):
    """What publishing and updating share."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    components = SeveritiesField("Components")
    state = RadioField("State", choices=STATES)
    body = TextAreaField("What customers should know", [REQUIRED_TEXT])
    next_update = SelectField("Next update", choices=PROMISES, coerce=int, default=30)
    notify = BooleanField("Tell them by mail", default=True)
    affected_only = BooleanField("Mail only the affected")

    def promise(self) -> timedelta | None:
        """How soon the next update is promised."""
        return timedelta(minutes=self.next_update.data) if self.next_update.data else None


class ReportForm(_EntryForm):
    """A new report. The hidden key makes one report of a form that is sent twice."""

    title = StringField("What is wrong", [REQUIRED_TITLE, Length(max=200)])
    state = RadioField("State", choices=STATES, default=State.INVESTIGATING.value)
    names_none = BooleanField("None of these")
    began = IntegerField("It began", [Optional(), NumberRange(0, A_WEEK, "Minutes, up to a week ago.")], default=0)
    audience = RadioField("Who sees it", choices=AUDIENCES, default=Audience.EVERYONE.value)
    visibility = RadioField("Visibility", choices=VISIBILITIES, default=Visibility.PUBLIC.value)

    def severities(self) -> Mapping[int, Severity] | None:
        """Severities by component id; empty if it is said to name none, None if nobody has said."""
        return self.components.data or ({} if self.names_none.data else None)


class UpdateForm(_EntryForm):
    """The next entry of a timeline."""

    version = VersionField(validators=[InputRequired()])
    visibility = RadioField("Who reads this", choices=READERS, default=Visibility.PUBLIC.value)


class EditForm(VersionedForm):
    """What a report is called and who sees it."""

    title = StringField("Title", [REQUIRED_TITLE, Length(max=200)])
    audience = RadioField("Who sees it", choices=AUDIENCES)
    visibility = RadioField("Visibility", choices=VISIBILITIES)
    impact_override = SelectField("Impact", choices=IMPACTS)


class TextForm(VersionedForm):
    """The text of an update, to be corrected."""

    body = TextAreaField("Text", [REQUIRED_TEXT])
