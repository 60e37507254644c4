"""The forms of service statuses: setting one, for holdings that were named or holders that are chosen, and windows."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf.file import FileField
from wtforms import BooleanField, DateTimeLocalField, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import AnyOf, InputRequired, Length, Optional

from portal.admin.broadcasts.notices.forms import READINGS, IdsField
from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.admin.services.numbers import numbers_in, text_of
from portal.errors import RuleViolation
from portal.filters import LOOKS
from portal.language import TIME_ZONES
from portal.localtime import LocalTimeError, Reading, TwiceError, moment_of
from portal.services.queries.choosing import Choice
from portal.services.rules import PROBLEMS, ServiceStatus, Wanted

EVERYBODY, SOME = "all", "some"
NOW, WITH_CAUSE, AT = "now", "cause", "at"

STATUSES = choices_of((status.value, str(LOOKS["service"][status].label)) for status in ServiceStatus)
TO = choices_of([(EVERYBODY, "Everybody who holds it"), (SOME, "Only some of them")])
BEGINNINGS = choices_of([(NOW, "Just now"), (WITH_CAUSE, "With the incident"), (AT, "At another time")])

LONGEST_TYPED = 100_000
"""Characters a text takes at all; how long it may be is a rule of services, which says so in a sentence."""

TIME_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def _time(label: str) -> DateTimeLocalField:
    return DateTimeLocalField(label, [Optional()], format=TIME_FORMATS)


def _reading(label: str) -> RadioField:
    return RadioField(label, choices=READINGS, validators=[Optional()], validate_choice=False)


class TimesForm(StaffForm):
    """Times as a clock of the zone named beside them shows them."""

    zone = SelectField("Time zone", choices=choices_of(TIME_ZONES), validate_choice=False)
    starts_at = _time("Starts")
    starts_reading = _reading("Which of the two starts")
    ends_at = _time("Ends")
    ends_reading = _reading("Which of the two ends")

    def clock_of(self) -> ZoneInfo:
        """The zone; RuleViolation when there is none of this name."""
        if self.zone.data not in dict(TIME_ZONES):
            raise RuleViolation("Choose a time zone from the list.", "zone")
        return ZoneInfo(self.zone.data)

    def moment(self, field: str, zone: ZoneInfo) -> datetime | None:
        """The moment a field stands for; RuleViolation where a clock never shows it, or twice and nobody said which."""
        wall: datetime | None = self[field].data
        if wall is None:
            return None
        which = self._fields.get(f"{field.removesuffix('_at')}_reading")
        chosen = Reading(which.data) if which is not None and which.data in list(Reading) else None
        try:
            return moment_of(wall, zone, chosen)
        except TwiceError as twice:
            if which is not None:
                which.errors = [*which.errors, "Choose one."]
            raise RuleViolation(str(twice), field) from twice
        except LocalTimeError as refused:
            raise RuleViolation(str(refused), field) from refused


class SetForm(TimesForm):
    """A status, and what is said of it, for holdings that are named."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    holding = IdsField("Holdings")
    status = RadioField(
        "Status",
        choices=STATUSES,
        validators=[
            InputRequired("Choose a status."),
            AnyOf([each.value for each in ServiceStatus], "Choose a status."),
        ],
        validate_choice=False,
    )
    notes = TextAreaField("Notes", [Length(max=LONGEST_TYPED)])
    ticket = StringField("Ticket number", [Optional(), Length(max=LONGEST_TYPED)])
    began = RadioField("It began", choices=BEGINNINGS, default=NOW, validate_choice=False)
    began_at = _time("Began")
    began_reading = _reading("Which of the two it began")
    notify = BooleanField("Send notifications", default=True)
    starter_title = StringField("Name", [Optional(), Length(max=LONGEST_TYPED)])

    def chosen_status(self) -> ServiceStatus | None:
        """The status as far as one is chosen."""
        return ServiceStatus(self.status.data) if self.status.data in list(ServiceStatus) else None

    def wanted(self, cause_began_at: datetime | None) -> Wanted:
        """What was typed; only the times that belong to the status. RuleViolation for what is none."""
        status = self.chosen_status()
        if status is None:
            raise RuleViolation("Choose a status.", "status")
        zone = self.clock_of()
        is_window = status is ServiceStatus.SCHEDULED
        return Wanted(
            status=status,
            notes=self.notes.data or "",
            starts_at=self.moment("starts_at", zone) if is_window else None,
            ends_at=self.moment("ends_at", zone) if is_window or status in PROBLEMS else None,
            zone=zone.key,
            ticket=self.ticket.data or "",
            began_at=None if is_window else self._began(status, zone, cause_began_at),
            notify=bool(self.notify.data),
        )

    def _began(self, status: ServiceStatus, zone: ZoneInfo, cause_began_at: datetime | None) -> datetime | None:
        if self.began.data == WITH_CAUSE and status in PROBLEMS:
            return cause_began_at
        if self.began.data != AT:
            return None
        if self.began_at.data is None:
            raise RuleViolation("Say when it began.", "began_at")
        return self.moment("began_at", zone)


class BulkForm(SetForm):
    """The same for holders of one service: all of them, or those that are chosen."""

    to = RadioField("For whom", choices=TO, default=EVERYBODY, validate_choice=True)
    text = StringField("Company or reference", [Optional(), Length(max=200)])
    domain_id = SelectField("Home portal", coerce=int, default=0)
    accounts = TextAreaField("Account numbers", [Length(max=LONGEST_TYPED * 5)])
    accounts_file = FileField("Or a CSV file of them")
    skips_unknown = BooleanField("Leave out the numbers nobody goes by")

    def read_file(self) -> None:
        """Put the numbers of the file under those that were typed, so that nothing of it is lost when it is shown."""
        brought: Any = self.accounts_file.data
        content = brought.read() if brought and getattr(brought, "filename", "") else b""
        if content:
            numbers = "\n".join(numbers_in(text_of(content)))
            self.accounts.data = f"{self.accounts.data or ''}\n{numbers}".strip()

    def choice(self) -> Choice:
        """Whom was chosen; RuleViolation at `accounts` for numbers that cannot be read."""
        if self.to.data == EVERYBODY:
            return Choice(is_all=True)
        return Choice(
            text=" ".join((self.text.data or "").split()),
            domain_id=self.domain_id.data or None,
            numbers=tuple(numbers_in(self.accounts.data or "")) or None,
        )


class WindowForm(TimesForm, VersionedForm):
    """A window at another time, with what is said of that."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    notes = TextAreaField("Notes", [Length(max=LONGEST_TYPED)])
    notify = BooleanField("Send notifications", default=True)


class StarterForm(VersionedForm):
    """Notes of staff's own to begin with; the version is 0 for new ones."""

    status = RadioField("For", choices=STATUSES, default=ServiceStatus.INTERMITTENT.value, validate_choice=True)
    title = StringField("Name", [InputRequired("Give them a name."), Length(max=LONGEST_TYPED)])
    body = TextAreaField("Notes", [InputRequired("Write what they say."), Length(max=LONGEST_TYPED)])


def known_status(text: str | None, otherwise: ServiceStatus | None = None) -> ServiceStatus | None:
    """The status of this name."""
    return ServiceStatus(text) if text in list(ServiceStatus) else otherwise


def ids_in(texts: Collection[str]) -> list[int]:
    """The ids an address names, each once; what is none is left out."""
    good = (int(text) for text in texts if text.isascii() and text.isdigit() and 0 < len(text) < 10)
    return list(dict.fromkeys(good))
