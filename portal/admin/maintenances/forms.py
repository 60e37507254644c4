"""The forms of maintenance: planning it, with how it repeats, steering it, and answering who asks for another slot."""

import secrets
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from wtforms import (
    BooleanField,
    DateField,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.broadcasts.notices.forms import IdsField
from portal.admin.forms import VersionedForm, VersionField, choices_of
from portal.admin.incidents.forms import TranslationsField
from portal.admin.maintenances.repeating import DAY_NAMES, DAYS, PLACES, Ending, Repeat, Rhythm
from portal.admin.services.forms import TimesForm
from portal.errors import RuleViolation
from portal.incidents.actions.series import SeriesPlan
from portal.incidents.models import Maintenance, MaintenanceSeries
from portal.incidents.rules import Audience, Visibility
from portal.incidents.rules.languages import Texts, translations_of
from portal.incidents.rules.maintenance import Plan, WorkImpact
from portal.localtime import Reading, readings

LONGEST_TYPED = 100_000
"""Characters a text takes at all; how long it may be is a rule of incidents, which says so in a sentence."""

IMPACTS = choices_of(
    [
        (WorkImpact.NO_IMPACT.value, "Nothing they notice"),
        (WorkImpact.REDUCED_REDUNDANCY.value, "Works, without its reserve"),
        (WorkImpact.DEGRADED.value, "Slower or less than usual"),
        (WorkImpact.OUTAGE.value, "Does not work meanwhile"),
    ]
)
AUDIENCES = choices_of([(Audience.EVERYONE.value, "Everyone"), (Audience.AFFECTED.value, "Only companies it concerns")])
VISIBILITIES = choices_of([(Visibility.PUBLIC.value, "Public"), (Visibility.PRIVATE.value, "Private, staff only")])
REMINDERS = choices_of(
    [
        (10_080, "A week before"),
        (4_320, "3 days before"),
        (1_440, "A day before"),
        (120, "2 hours before"),
        (60, "An hour before"),
    ]
)
REPEATS = choices_of(
    [
        (Repeat.ONCE.value, "Once"),
        (Repeat.DAILY.value, "Daily"),
        (Repeat.WEEKLY.value, "Weekly"),
        (Repeat.MONTHLY_DAY.value, "Monthly, by weekday"),
        (Repeat.MONTHLY_DATE.value, "Monthly, by date"),
    ]
)
WEEKDAYS = choices_of([(each, DAY_NAMES[each]) for each in DAYS])
SHORT_WEEKDAYS = choices_of([(each, DAY_NAMES[each][:3]) for each in DAYS])
WHICH = choices_of([(number, word.capitalize()) for number, word in PLACES.items()])
ENDINGS = choices_of(
    [
        (Ending.NEVER.value, "Until it is stopped"),
        (Ending.UNTIL.value, "Until a day"),
        (Ending.COUNT.value, "So many times"),
    ]
)
ACCEPT, DECLINE = "accept", "decline"
ANSWERS = choices_of([(ACCEPT, "Accept, and move it"), (DECLINE, "Decline")])


def _key() -> HiddenField:
    return HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])


class WhenForm(TimesForm):
    """From when to when, as a clock of the zone shows it."""

    def window(self) -> tuple[datetime, datetime, str]:
        """The two moments and the zone; RuleViolation for what is left empty or cannot be."""
        zone = self.clock_of()
        starts_at = self.moment("starts_at", zone)
        if starts_at is None:
            raise RuleViolation("Say when the work starts.", "starts_at")
        ends_at = self.moment("ends_at", zone)
        if ends_at is None:
            raise RuleViolation("Say when the work ends.", "ends_at")
        if ends_at <= starts_at:
            raise RuleViolation("The end has to be after the start.", "ends_at")
        return starts_at, ends_at, zone.key

    def show(self, starts_at: datetime, ends_at: datetime, zone_name: str) -> None:
        """Fill the window in, as clocks of the zone show it."""
        self.zone.data = zone_name
        zone = ZoneInfo(zone_name)
        for name, moment in (("starts", starts_at), ("ends", ends_at)):
            local = moment.astimezone(zone)
            self[f"{name}_at"].data = local.replace(tzinfo=None, fold=0)
            if len(readings(local, zone)) > 1:
                self[f"{name}_reading"].data = (Reading.SECOND if local.fold else Reading.FIRST).value


class PlanForm(WhenForm):
    """Work that is planned, or one that is and is corrected: then the form carries its version."""

    key = _key()
    version = VersionField(validators=[Optional()])
    title = StringField("What is planned", [InputRequired("Give it a title."), Length(max=LONGEST_TYPED)])
    body = TextAreaField(
        "What is done, and what customers notice",
        [InputRequired("Say what customers should know."), Length(max=LONGEST_TYPED)],
    )
    translations = TranslationsField("In other languages")
    components = IdsField("Components")
    impact = RadioField("What it does to their services", choices=IMPACTS, default=WorkImpact.DEGRADED.value)
    starts_itself = BooleanField("Starts by the clock", default=True)
    ends_itself = BooleanField("Ends by the clock", default=True)
    reminders = SelectMultipleField("Reminders", choices=REMINDERS, coerce=int, default=[1_440, 60])
    audience = RadioField("Who sees it", choices=AUDIENCES, default=Audience.EVERYONE.value)
    visibility = RadioField("Visibility", choices=VISIBILITIES, default=Visibility.PUBLIC.value)
    notify = BooleanField("Tell them by mail", default=True)

    def plan(self) -> Plan:
        """What was typed; RuleViolation for a window that is none."""
        starts_at, ends_at, zone = self.window()
        return Plan(
            title=self.title.data or "",
            body=self.body.data or "",
            translations=self.translations.data,
            component_ids=frozenset(self.components.data),
            starts_at=starts_at,
            ends_at=ends_at,
            zone=zone,
            impact=WorkImpact(self.impact.data),
            visibility=Visibility(self.visibility.data),
            audience=Audience(self.audience.data),
            notify=bool(self.notify.data),
            reminders=tuple(timedelta(minutes=each) for each in sorted(self.reminders.data or [], reverse=True)),
            starts_itself=bool(self.starts_itself.data),
            ends_itself=bool(self.ends_itself.data),
        )

    def show_words(self, planned: Maintenance | MaintenanceSeries, body: str, bodies: Texts) -> None:
        """Fill in what is planned already, but for its times."""
        self.translations.data = translations_of(title=planned.titles, body=bodies)
        self.version.data, self.title.data, self.body.data = planned.version, planned.title, body
        self.components.data = [part.component_id for part in planned.components]
        self.impact.data, self.audience.data = planned.impact.value, planned.audience.value
        self.visibility.data, self.notify.data = planned.visibility.value, planned.notify
        self.starts_itself.data, self.ends_itself.data = planned.starts_itself, planned.ends_itself
        self.reminders.data = planned.reminders


class SeriesForm(PlanForm):
    """The same with how it repeats."""

    repeat = RadioField("Repeat", choices=REPEATS, default=Repeat.ONCE.value)
    step = IntegerField("Every", [Optional()], default=1)
    days = SelectMultipleField("On", choices=SHORT_WEEKDAYS)
    place = SelectField("On the", choices=WHICH, coerce=int, default=1)
    day = SelectField("Weekday", choices=WEEKDAYS, default="SU")
    date = IntegerField("On day", [Optional()], default=1)
    ending = RadioField("For how long", choices=ENDINGS, default=Ending.NEVER.value)
    until = DateField("Until and including", [Optional()])
    count = IntegerField("How many times", [Optional()])

    @property
    def repeats(self) -> bool:
        """Whether it is more than once."""
        return self.repeat.data in list(Repeat) and self.repeat.data != Repeat.ONCE

    def rhythm(self) -> Rhythm | None:
        """How it repeats, unchecked; None for once."""
        if not self.repeats:
            return None
        return Rhythm(
            Repeat(self.repeat.data),
            step=1 if self.step.data is None else self.step.data,
            days=tuple(self.days.data or ()),
            place=self.place.data or 1,
            day=self.day.data or "SU",
            number=self.date.data or 0,
            ending=Ending(self.ending.data) if self.ending.data in list(Ending) else Ending.NEVER,
            until=self.until.data,
            count=self.count.data,
        )

    def rule(self) -> str | None:
        """How it repeats, as an RRULE; None for once. RuleViolation for what makes none."""
        rhythm = self.rhythm()
        return rhythm.rule(self.clock_of()) if rhythm else None

    def series_plan(self) -> SeriesPlan:
        """What was typed, of work that repeats; RuleViolation for what is no window or no rule."""
        once, rule = self.plan(), self.rule()
        if rule is None:
            raise RuleViolation("Say how it repeats.", "repeat")
        return SeriesPlan(
            title=once.title,
            body=once.body,
            translations=once.translations,
            component_ids=once.component_ids,
            rule=rule,
            starts_on=once.starts_at.astimezone(ZoneInfo(once.zone)).replace(tzinfo=None),
            duration=once.ends_at - once.starts_at,
            zone=once.zone,
            impact=once.impact,
            visibility=once.visibility,
            audience=once.audience,
            notify=once.notify,
            reminders=once.reminders,
            starts_itself=once.starts_itself,
            ends_itself=once.ends_itself,
        )

    def show_rhythm(self, rhythm: Rhythm) -> None:
        """Fill in how it repeats."""
        self.repeat.data, self.step.data, self.ending.data = rhythm.repeat.value, rhythm.step, rhythm.ending.value
        self.days.data, self.place.data, self.day.data = list(rhythm.days), rhythm.place, rhythm.day
        self.date.data, self.until.data, self.count.data = rhythm.number, rhythm.until, rhythm.count


class StepForm(WhenForm):
    """One step of a maintenance: what is said of it, and for a move or a later end the times."""

    key = _key()
    version = VersionField(validators=[InputRequired()])
    body = TextAreaField("What customers should know", [Length(max=LONGEST_TYPED)])
    translations = TranslationsField("In other languages")
    notify = BooleanField("Tell them by mail", default=True)


class AnswerForm(StepForm):
    """What becomes of a request for another slot. Its version is that of the request."""

    maintenance_version = VersionField(validators=[InputRequired()])
    answer = RadioField("Your answer", choices=ANSWERS, default=ACCEPT, validators=[InputRequired("Choose one.")])
    body = TextAreaField("What they are told", [Length(max=LONGEST_TYPED)])
    notify = BooleanField("Tell everybody concerned of the move by mail", default=True)


class StopForm(VersionedForm):
    """The end of a series."""

    body = TextAreaField("What customers should know", [Length(max=LONGEST_TYPED)])
    notify = BooleanField("Tell them by mail", default=True)
