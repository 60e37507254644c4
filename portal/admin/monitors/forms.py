"""The shapes of a monitor."""

from collections.abc import Iterable
from typing import Any

from wtforms import BooleanField, FieldList, Form, FormField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.admin.forms import StaffForm, VersionField, choices_of
from portal.incidents.actions.monitors import NAME_LENGTH, Named
from portal.incidents.rules import Severity
from portal.incidents.rules.monitors import Shape

SHAPES = {
    Shape.ALERTMANAGER: "Prometheus Alertmanager",
    Shape.GRAFANA: "Grafana Alerting",
    Shape.UPTIME_KUMA: "Uptime Kuma",
    Shape.MAIL: "E-mail",
}
SEVERITIES = {
    Severity.MAJOR_OUTAGE: "Major Outage",
    Severity.PARTIAL_RTH: "Partial RTH",
    Severity.PERFORMANCE_ISSUE: "Performance Issue",
}
EMPTY_ROWS = 3
"""Rows of words that stand empty below those that are filled."""


def _severities() -> Any:
    return choices_of((each.value, label) for each, label in SEVERITIES.items())


class MatchForm(Form):
    """A word, and what it stands for. A row whose word is empty is left out."""

    word = StringField("Word", validators=[Length(max=200, message="A word has at most 200 characters.")])
    component = SelectField("Component", coerce=int, default=0)
    severity = SelectField("Severity", choices=_severities())


class MonitorForm(StaffForm):
    """What a monitor is called, and what its words stand for."""

    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the monitor a name."),
            Length(max=NAME_LENGTH, message=f"A name has at most {NAME_LENGTH} characters."),
        ],
    )
    severity = SelectField("Severity where the monitor does not say it", choices=_severities())
    publishes = BooleanField("Publish what staff write by mail")
    matches = FieldList(FormField(MatchForm), max_entries=204)

    def offer(self, components: Iterable[tuple[int, str, str]]) -> None:
        """Offer these components in every row, and rows to fill."""
        choices = choices_of(
            [
                (0, "Choose a component"),
                *((each, f"{title} ({group})" if group else title) for each, title, group in components),
            ]
        )
        if not self.is_submitted():
            for _number in range(EMPTY_ROWS):
                self.matches.append_entry()
        for entry in self.matches:
            entry.form.component.choices = choices

    @property
    def named(self) -> list[Named]:
        """The rows that were filled."""
        rows = (entry.form for entry in self.matches)
        return [
            Named(word, row.component.data, Severity(row.severity.data))
            for row in rows
            if (word := (row.word.data or "").strip())
        ]


class NewMonitorForm(MonitorForm):
    """And what it is."""

    shape = SelectField("What it is", choices=choices_of((each.value, label) for each, label in SHAPES.items()))


class EditMonitorForm(MonitorForm):
    """And the version it was opened with."""

    version = VersionField(validators=[InputRequired()])
