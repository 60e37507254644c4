"""The forms of a report: publishing one, its next update, and correcting both."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from wtforms import (
    BooleanField,
    DateTimeLocalField,
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

from portal import access
from portal.admin.broadcasts.notices.forms import READINGS
from portal.admin.forms import StaffForm, VersionedForm, VersionField, choices_of, company_called
from portal.errors import RuleViolation
from portal.filters import LOOKS
from portal.incidents.actions import PastUpdate
from portal.incidents.actions.templates import TemplateContent
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent
from portal.incidents.rules.languages import texts_of
from portal.incidents.rules.templates import FIELDS_AT_MOST, VALUE_LENGTH, key_of_variable
from portal.incidents.rules.wordings import WORDINGS_AT_MOST, Wording
from portal.language import LANGUAGES, TIME_ZONES, known
from portal.language import zone as zone_of
from portal.localtime import LocalTimeError, Reading, TwiceError, moment_of

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
TIME_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
VALUES_AT_MOST = 4 * FIELDS_AT_MOST
"""Values a form takes at all: a text may hold the fields of more than one template."""

LONGEST_TYPED = 100_000
"""Characters a text takes at all; how long it may be is a rule of incidents, which says so in a sentence."""

ENTRIES_AT_MOST = 60
"""Entries of one past report."""

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


class ValuesField(Field):
    """What fills the own variables of a text, sent as `values-<name>` each. Its data are values by name."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data or {}, extra_filters)
        self.data: dict[str, str] = dict(self.data)
        if not formdata:
            return
        start = f"{self.name}-"
        sent = [name for name in formdata if name.startswith(start)][:VALUES_AT_MOST]
        self.data = {key_of_variable(name.removeprefix(start))[:100]: formdata[name][:VALUE_LENGTH] for name in sent}


@dataclass(frozen=True)
class WordingRow:
    """One wording as it was typed: `to` is the key of a portal domain, or "company" for the one that is named.

    `texts` is what it says in other languages.
    """

    to: str = "company"
    company: str = ""
    text: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.company.strip() and not self.text.strip() and not self.texts


class WordingsField(Field):
    """Texts of their own for some, sent as lists: `wordings-to`, `wordings-company`, `wordings-text`, and for each
    other language `wordings-text-<code>`."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data or [], extra_filters)
        self.data: list[WordingRow] = list(self.data)
        if not formdata:
            return
        parts = [formdata.getlist(f"{self.name}-{part}")[: WORDINGS_AT_MOST + 1] for part in ("to", "company", "text")]
        others = {code: formdata.getlist(f"{self.name}-text-{code}") for code in LANGUAGES}
        self.data = []
        for number, (to, company, text) in enumerate(zip(*parts, strict=False)):
            row = WordingRow(to, company, text, _texts_of_row(others, number))
            if not row.is_empty:
                self.data.append(row)

    def meant(self) -> tuple[Wording, ...]:
        """The wordings, with the companies they name found; RuleViolation at `wordings`."""
        return tuple(map(_meant, self.data))

    def rows(self) -> list[WordingRow]:
        """What the form shows: those there are, and an empty one."""
        return [*self.data, WordingRow()]


def _texts_of_row(sent: Mapping[str, list[str]], number: int) -> dict[str, str]:
    """What the row of this number says in other languages; empty ones are none."""
    return {code: texts[number] for code, texts in sent.items() if number < len(texts) and texts[number].strip()}


class TranslationsField(Field):
    """Texts in other languages, sent as `translations-<code>-title` and `translations-<code>-body`.

    Its data are texts by language and by name; those left empty are none.
    """

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data or {}, extra_filters)
        self.data: dict[str, dict[str, str]] = {code: dict(said) for code, said in dict(self.data).items()}
        if not formdata:
            return
        self.data = {}
        for code in LANGUAGES:
            sent = {name: formdata.get(f"{self.name}-{code}-{name}", "") for name in ("title", "body")}
            if said := {name: text[:LONGEST_TYPED] for name, text in sent.items() if text.strip()}:
                self.data[code] = said

    def texts(self, name: str) -> dict[str, str]:
        """The texts beside one original, by language."""
        return texts_of(self.data, name)

    def offered(self) -> dict[str, str]:
        """The languages there is a field for, with their names: all but that of whoever writes, and what is there."""
        own = access.signed_in().language
        return {code: name for code, name in LANGUAGES.items() if code != known(own) or code in self.data}


def _meant(row: WordingRow) -> Wording:
    if row.to != "company":
        number = row.to.removeprefix("d")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise RuleViolation("Choose from the list whom a wording is for.", "wordings")
        return Wording(row.text, domain_id=int(number), texts=row.texts)
    try:
        return Wording(row.text, company_id=company_called(row.company).id, texts=row.texts)
    except RuleViolation as violation:
        raise RuleViolation(violation.sentence, "wordings") from violation


class WhenForm(StaffForm):
    """A time ahead, as a clock of the zone named beside it shows it."""

    publish_at = DateTimeLocalField("Publish at", [Optional()], format=TIME_FORMATS)
    publish_reading = RadioField("Which of the two", choices=READINGS, validators=[Optional()], validate_choice=False)
    zone = SelectField("Time zone", choices=choices_of(TIME_ZONES), validate_choice=False)

    def publish_time(self) -> datetime | None:
        """The moment that is meant; RuleViolation where no clock of the zone shows it, or twice."""
        return moment_in(self, self.publish_at, self.publish_reading)

    def zone_name(self) -> str:
        """The zone, or UTC while none of this name is chosen."""
        return self.zone.data if self.zone.data in dict(TIME_ZONES) else "UTC"


def moment_in(form: Any, wall: Field, reading: Field | None = None) -> datetime | None:
    """The moment this field of a form with a `zone` stands for, None if it is empty; RuleViolation at the field."""
    if wall.data is None:
        return None
    if form.zone.data not in dict(TIME_ZONES):
        raise RuleViolation("Choose a time zone from the list.", "zone")
    chosen = Reading(reading.data) if reading is not None and reading.data in list(Reading) else None
    try:
        return moment_of(wall.data, ZoneInfo(form.zone.data), chosen)
    except TwiceError as twice:
        if reading is not None:
            reading.errors = [*reading.errors, "Choose one."]
        raise RuleViolation(str(twice), wall.name) from twice
    except LocalTimeError as refused:
        raise RuleViolation(str(refused), wall.name) from refused


class _EntryForm(StaffForm):
    """What publishing and updating share."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    components = SeveritiesField("Components")
    state = RadioField("State", choices=STATES)
    body = TextAreaField("What customers should know", [REQUIRED_TEXT])
    next_update = SelectField("Next update", choices=PROMISES, coerce=int, default=30)
    notify = BooleanField("Tell them by mail", default=True)
    affected_only = BooleanField("Mail only the affected")
    values = ValuesField("Fields of the template")
    wordings = WordingsField("Other words for some")
    translations = TranslationsField("In other languages")

    def promise(self) -> timedelta | None:
        """How soon the next update is promised."""
        return timedelta(minutes=self.next_update.data) if self.next_update.data else None


class ReportForm(_EntryForm, WhenForm):
    """A new report. The hidden key makes one report, or one draft, of a form that is sent twice."""

    title = StringField("What is wrong", [REQUIRED_TITLE, Length(max=200)])
    state = RadioField("State", choices=STATES, default=State.INVESTIGATING.value)
    names_none = BooleanField("None of these")
    began = IntegerField("It began", [Optional(), NumberRange(0, A_WEEK, "Minutes, up to a week ago.")], default=0)
    audience = RadioField("Who sees it", choices=AUDIENCES, default=Audience.EVERYONE.value)
    visibility = RadioField("Visibility", choices=VISIBILITIES, default=Visibility.PUBLIC.value)

    def severities(self) -> Mapping[int, Severity] | None:
        """Severities by component id; empty if it is said to name none, None if nobody has said."""
        return self.components.data or ({} if self.names_none.data else None)

    def content(self, now: datetime) -> DraftContent:
        """All of it, as a draft keeps it; RuleViolation at the wordings."""
        began = self.began.data or 0
        return DraftContent(
            title=self.title.data or "",
            body=self.body.data or "",
            state=State(self.state.data),
            severities=self.severities(),
            audience=Audience(self.audience.data),
            visibility=Visibility(self.visibility.data),
            notify=self.notify.data,
            mail_affected_only=self.affected_only.data,
            next_update=self.promise(),
            started_at=now - timedelta(minutes=began) if began else None,
            wordings=self.wordings.meant(),
            values=self.values.data,
            translations=self.translations.data,
        )

    def show(self, content: DraftContent, names: Mapping[str, str], now: datetime) -> None:
        """Fill the form with a draft. `names` says whom its wordings are for."""
        self.title.data, self.body.data, self.state.data = content.title, content.body, content.state.value
        self.components.data = dict(content.severities or {})
        self.names_none.data = content.severities is not None and not content.severities
        self.audience.data, self.visibility.data = content.audience.value, content.visibility.value
        self.notify.data, self.affected_only.data = content.notify, content.mail_affected_only
        self.next_update.data = int(content.next_update.total_seconds() // 60) if content.next_update else 0
        self.began.data = int((now - content.started_at).total_seconds() // 60) if content.started_at else 0
        self.values.data = dict(content.values)
        self.wordings.data = rows_of(content.wordings, names)
        self.translations.data = {code: dict(said) for code, said in content.translations.items()}


class DraftForm(ReportForm):
    """A draft: the same, of a row that others may save too."""

    version = VersionField(validators=[InputRequired()])


def rows_of(wordings: Iterable[Wording], names: Mapping[str, str]) -> list[WordingRow]:
    """Stored wordings as they would be typed; a company that is gone has no name."""
    return [
        WordingRow(each.key, "", each.text, each.texts)
        if each.domain_id is not None
        else WordingRow("company", names.get(each.key, ""), each.text, each.texts)
        for each in wordings
    ]


class UpdateForm(_EntryForm):
    """The next entry of a timeline."""

    version = VersionField(validators=[InputRequired()])
    visibility = RadioField("Who reads this", choices=READERS, default=Visibility.PUBLIC.value)
    recovers = BooleanField("Set them to Operating normally too", default=True)
    recovers_up_to = VersionField(validators=[Optional()])
    tells_recovery = BooleanField("And tell them by mail", default=True)


class TemplateForm(VersionedForm):
    """A template: a report to begin with, or its next update."""

    name = StringField("Name", [InputRequired("Give the template a name."), Length(max=100)])
    title = StringField("Title", [Length(max=200)])
    body = TextAreaField("Text", [REQUIRED_TEXT])
    translations = TranslationsField("In other languages")
    components = SeveritiesField("Components")
    state = RadioField("State", choices=[SelectChoice("", "As it is"), *STATES], default="")
    audience = RadioField("Who sees it", choices=[SelectChoice("", "As it is"), *AUDIENCES], default="")
    promise = SelectField("Next update", choices=[SelectChoice(-1, "As it is"), *PROMISES], coerce=int, default=-1)
    notify = BooleanField("Tell them by mail", default=True)

    def content(self) -> TemplateContent:
        return TemplateContent(
            name=self.name.data or "",
            title=self.title.data or "",
            body=self.body.data or "",
            translations=self.translations.data,
            state=State(self.state.data) if self.state.data else None,
            audience=Audience(self.audience.data) if self.audience.data else None,
            severities=self.components.data,
            notify=self.notify.data,
            promise=None if self.promise.data < 0 else self.promise.data,
        )


@dataclass(frozen=True)
class PastRow:
    """One entry of a past report as it was typed. `texts` is what it says in other languages."""

    at: str = ""
    state: str = State.INVESTIGATING.value
    text: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.at.strip() and not self.text.strip() and not self.texts


class EntriesField(Field):
    """Entries of a past report, sent as lists: `entries-at`, `entries-state`, `entries-text`, and for each other
    language `entries-text-<code>`."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data or [], extra_filters)
        self.data: list[PastRow] = list(self.data)
        if not formdata:
            return
        parts = [formdata.getlist(f"{self.name}-{part}")[:ENTRIES_AT_MOST] for part in ("at", "state", "text")]
        others = {code: formdata.getlist(f"{self.name}-text-{code}") for code in LANGUAGES}
        self.data = []
        for number, (at, state, text) in enumerate(zip(*parts, strict=False)):
            row = PastRow(at, state, text, _texts_of_row(others, number))
            if not row.is_empty:
                self.data.append(row)

    def rows(self) -> list[PastRow]:
        """What the form shows: those there are, and at least two in all, the last one empty."""
        return [*self.data, *([PastRow(), PastRow(state=State.FIXED.value)] if not self.data else [PastRow()])]


class PastForm(StaffForm):
    """A report of what is over, or was never reported here."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    title = StringField("What was wrong", [REQUIRED_TITLE, Length(max=200)])
    components = SeveritiesField("Components")
    zone = SelectField("Time zone", choices=choices_of(TIME_ZONES), validate_choice=False)
    translations = TranslationsField("In other languages")
    entries = EntriesField("What was said, and when")
    audience = RadioField("Who sees it", choices=AUDIENCES, default=Audience.EVERYONE.value)
    visibility = RadioField("Visibility", choices=VISIBILITIES, default=Visibility.PUBLIC.value)

    def timeline(self) -> list[PastUpdate]:
        """The entries in their order, the first with the severities; RuleViolation at `entries`."""
        if self.zone.data not in dict(TIME_ZONES):
            raise RuleViolation("Choose a time zone from the list.", "zone")
        zone = ZoneInfo(self.zone.data)
        found = []
        for row in self.entries.data:
            if row.state not in list(State):
                raise RuleViolation("Choose each state from the list.", "entries")
            if not row.text.strip():
                raise RuleViolation("Say in each entry what was told.", "entries")
            try:
                at = moment_of(datetime.fromisoformat(row.at).replace(tzinfo=None), zone, Reading.FIRST)
            except LocalTimeError as refused:
                raise RuleViolation(str(refused), "entries") from refused
            except ValueError as refused:
                raise RuleViolation("Say of each entry when it was.", "entries") from refused
            found.append(PastUpdate(at, State(row.state), row.text, {}, row.texts))
        if not found:
            raise RuleViolation("Write at least one entry: what was told, and when.", "entries")
        found.sort(key=lambda each: each.posted_at)
        return [replace(found[0], severities=self.components.data), *found[1:]]


class EditForm(VersionedForm):
    """What a report is called and who sees it."""

    title = StringField("Title", [REQUIRED_TITLE, Length(max=200)])
    translations = TranslationsField("In other languages")
    audience = RadioField("Who sees it", choices=AUDIENCES)
    visibility = RadioField("Visibility", choices=VISIBILITIES)
    impact_override = SelectField("Impact", choices=IMPACTS)
    started_at = DateTimeLocalField("It began", [Optional()], format=TIME_FORMATS)
    zone = SelectField("Time zone", choices=choices_of(TIME_ZONES), validate_choice=False)

    def show_beginning(self, started_at: datetime, zone: str) -> None:
        """When it began, as a clock of this zone shows it, to the minute."""
        self.zone.data = zone
        self.started_at.data = _on_the_wall(started_at, zone)

    def beginning(self, before: datetime) -> datetime:
        """When it is said to have begun: as before, to the second, unless another minute was typed."""
        if self.started_at.data is None or self.started_at.data == _on_the_wall(before, self.zone.data or "UTC"):
            return before
        return moment_in(self, self.started_at) or before


def _on_the_wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(zone_of(zone)).replace(tzinfo=None, second=0, microsecond=0)


class TextForm(VersionedForm):
    """The text of an update, to be corrected, and what some read instead."""

    body = TextAreaField("Text", [REQUIRED_TEXT])
    wordings = WordingsField("Other words for some")
    translations = TranslationsField("In other languages")
