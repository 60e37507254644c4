"""The forms of a notice: writing it, and saying when it starts."""

from typing import Any

from wtforms import DateField, Field, HiddenField, RadioField, StringField, TextAreaField, TimeField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm
from portal.catalogue.notices.rules import FIRST, NAMED, Chosen
from portal.localtime import Reading

EVERYONE, SOME = "everyone", "some"

TO = [SelectChoice(SOME, "Only those I choose"), SelectChoice(EVERYONE, "Everyone")]
READINGS = [
    SelectChoice(Reading.FIRST.value, "The first, before clocks go back"),
    SelectChoice(Reading.SECOND.value, "The second, an hour later"),
]
LONGEST_TYPED = 100_000
"""Characters a field takes at all; how long a text may be is a rule of notices, which says so in a sentence."""


class IdsField(Field):
    """Things chosen by a box each. Its data are their ids, each once."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data or (), extra_filters)
        self.data: list[int] = list(self.data)
        if not formdata:
            return
        self.data = []
        for number in formdata.getlist(self.name):
            if not (number.isascii() and number.isdigit() and 0 < len(number) < 10):
                self.process_errors = ["Choose from the list."]
            elif int(number) not in self.data:
                self.data.append(int(number))


class NoticeForm(StaffForm):
    """A notice as it is written."""

    version = HiddenField()
    to = RadioField("To", choices=TO, default=SOME, validate_choice=True)
    companies = IdsField("Companies")
    services = IdsField("Whoever holds a service")
    components = IdsField("Whoever depends on a component")
    domains = IdsField("Whoever is at home on a portal domain")
    subject = StringField("Subject", [Length(max=LONGEST_TYPED)])
    body = TextAreaField("Text", [Length(max=LONGEST_TYPED)])
    subject_de = StringField("Subject in German", [Optional(), Length(max=LONGEST_TYPED)])
    body_de = TextAreaField("Text in German", [Optional(), Length(max=LONGEST_TYPED)])
    reader = StringField("Read it as", [Optional(), Length(max=200)])

    def wordings(self) -> dict[str, dict[str, str]]:
        """What was typed, by language."""
        return {
            FIRST: {"subject": self.subject.data or "", "body": self.body.data or ""},
            "de": {"subject": self.subject_de.data or "", "body": self.body_de.data or ""},
        }

    def chosen(self) -> Chosen:
        """To whom. For everyone, nothing else is kept."""
        if self.to.data == EVERYONE:
            return Chosen(everyone=True)
        return Chosen.by_kind({kind: self[kind].data for kind in NAMED})

    def expected(self) -> int:
        """The version it was opened with; 0 where none was said, which no row has."""
        version = self.version.data or ""
        return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0


class ScheduleForm(VersionedForm):
    """When a notice starts, as a clock of the reader's zone shows it."""

    due = DateField("Day", [InputRequired("Choose a day.")])
    due_time = TimeField("Time", [InputRequired("Choose a time.")])
    reading = RadioField("Which of the two", choices=READINGS, validators=[Optional()], validate_choice=False)

    def which(self) -> Reading | None:
        """Which of two equal times is meant, if that was said."""
        return Reading(self.reading.data) if self.reading.data in list(Reading) else None
