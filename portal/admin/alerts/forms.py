"""The shapes of an alert: what is watched, when that is bad, who is told, and how often.

Every field is on the page; a sheet of its own hides those that do not belong to the area that is chosen, and what
stands in them then counts for nothing.
"""

import secrets
from collections.abc import Iterable
from decimal import Decimal

from wtforms import BooleanField, HiddenField, IntegerField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from portal.admin.alerts.words import AREAS, LEVELS, OPERATORS, REPEATS, RIGHTS
from portal.admin.forms import StaffForm, VersionedForm, VersionField, choices_of
from portal.alerts.models import Alert
from portal.alerts.rules import (
    LEAST_COUNT,
    TAG_LENGTH,
    TITLE_LENGTH,
    TRUNK_LENGTH,
    AlertArea,
    Level,
    Operator,
    Repeat,
    Rights,
)
from portal.alerts.rules.checks import Wanted
from portal.alerts.words import is_plain_script
from portal.language import TIME_ZONES
from portal.usage.rules import KEY_LENGTH, exact

LONGEST_TYPED = 100_000
"""Characters a field takes at all; how long each may be is a rule of alerts, which says so in a sentence."""

MONTH_MINUTES = 31 * 24 * 60


class Limit(StringField):
    """An amount as people write one, with a point or a comma; None where nothing is typed."""

    amount: Decimal | None = None

    def pre_validate(self, form: object) -> None:
        """Read the amount, or say why it is none."""
        typed = (self.data or "").strip()
        try:
            self.amount = exact(typed) if typed else None
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _minutes(label: str, default: int | None = None) -> IntegerField:
    sentence = f"Type minutes, from 0 to {MONTH_MINUTES:,}."
    return IntegerField(label, default=default, validators=[Optional(), NumberRange(0, MONTH_MINUTES, sentence)])


class AlertForm(StaffForm):
    """What is watched, and what is said of it."""

    title = StringField(
        "Title",
        validators=[
            InputRequired("Give the alert a title."),
            Length(max=TITLE_LENGTH, message=f"A title has at most {TITLE_LENGTH} characters."),
        ],
    )
    area = SelectField("Figure", choices=choices_of((each.value, word) for each, word in AREAS.items()))
    service = SelectField("Of one service", coerce=int, default=0)
    trunk = StringField(
        "Or of one trunk", validators=[Length(max=TRUNK_LENGTH, message=f"At most {TRUNK_LENGTH} characters.")]
    )
    metric = StringField(
        "Key of the metric", validators=[Length(max=KEY_LENGTH, message=f"A key has at most {KEY_LENGTH} characters.")]
    )
    script = TextAreaField("Script", validators=[Length(max=LONGEST_TYPED)])
    operator = SelectField("When it", choices=choices_of((each.value, word) for each, word in OPERATORS.items()))
    threshold = Limit("Threshold", validators=[Length(max=60, message="That is no number of ours.")])
    reset = Limit("Normal again at", validators=[Length(max=60, message="That is no number of ours.")])
    window = _minutes("Sample period, in minutes", 15)
    least_count = IntegerField(
        "Not judged by fewer calls than",
        default=LEAST_COUNT,
        validators=[Optional(), NumberRange(0, 1_000_000, "Type a number from 0 to 1,000,000.")],
    )
    must_last = _minutes("Must last, in minutes", 0)
    must_be_well = _minutes("Must be well for, in minutes", 0)
    repeat = SelectField("Say it", choices=choices_of((each.value, word) for each, word in REPEATS.items()))
    repeat_hour = SelectField("At this hour", default="")
    zone = SelectField("On a clock in", choices=choices_of([("", "That of each company’s portal"), *TIME_ZONES]))
    recipients = TextAreaField("Who is told", validators=[Length(max=LONGEST_TYPED)])
    tells_contacts = BooleanField("Also tell the contacts of each company")
    tells_normal = BooleanField("Also say when it is normal again", default=True)
    opens_draft = BooleanField("Open a draft of a report when it is triggered")
    template = SelectField("In the words of", coerce=int, default=0)
    level = SelectField("How much it matters", choices=choices_of((each.value, word) for each, word in LEVELS.items()))

    def offer(self, services: Iterable[tuple[int, str]], templates: Iterable[tuple[int, str]]) -> None:
        """Offer these to choose from."""
        self.service.choices = choices_of([(0, "The whole company"), *services])
        self.template.choices = choices_of([(0, "The built-in text"), *templates])
        hours = [(str(hour), f"{hour:02}:00") for hour in range(24)]
        self.repeat_hour.choices = choices_of([("", "A day after the last"), *hours])

    @property
    def watches(self) -> AlertArea:
        """The area that is chosen."""
        return AlertArea(self.area.data)

    @property
    def typed_recipients(self) -> tuple[str, ...]:
        """Whom it is to tell, one a line or parted by commas, each once."""
        lines = (self.recipients.data or "").replace(",", "\n").replace(";", "\n").splitlines()
        return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))

    def wanted(self, company_id: int | None, tag: str | None, metric_id: int | None) -> Wanted:
        """What is typed, for a company or a tag. What does not belong to the area is left out by the action."""
        return Wanted(
            title=self.title.data or "",
            area=self.watches,
            operator=Operator(self.operator.data),
            company_id=company_id,
            tag=tag,
            service_id=self.service.data or None,
            trunk=self.trunk.data or "",
            metric_id=metric_id,
            threshold=self.threshold.amount,
            reset=self.reset.amount,
            window=_seconds(self.window.data),
            least_count=self.least_count.data or 0,
            must_last=_seconds(self.must_last.data),
            must_be_well=_seconds(self.must_be_well.data),
            repeat=Repeat(self.repeat.data),
            repeat_hour=int(self.repeat_hour.data) if self.repeat_hour.data else None,
            zone=(self.zone.data or "").strip(),
            template_id=self.template.data or None,
            level=Level(self.level.data),
            script=(self.script.data or "").replace("\r\n", "\n"),
            tells_normal=bool(self.tells_normal.data),
            tells_contacts=bool(self.tells_contacts.data),
            opens_draft=bool(self.opens_draft.data),
            recipients=self.typed_recipients,
        )


class NewAlertForm(AlertForm):
    """And for whom: one company, or each that has a tag. `key` makes sending it twice one alert."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    company = StringField("Company", validators=[Length(max=200, message="A name has at most 200 characters.")])
    tag = StringField(
        "Or each company with the tag",
        validators=[Length(max=TAG_LENGTH, message=f"A tag has at most {TAG_LENGTH} characters.")],
    )
    is_on = BooleanField("Watch it from now on", default=True)


class EditAlertForm(AlertForm):
    """And the version it was opened with."""

    version = VersionField(validators=[InputRequired()])


class TestForm(VersionedForm):
    """A test: to whoever presses the button, or with `to_all` to everybody the alert names; told with whose figures."""

    company_id = IntegerField(validators=[InputRequired()])
    to_all = BooleanField("Send it to everybody the alert names, not only to me")


class RightsForm(StaffForm):
    """What the people of a company may do with its alerts. `version` is 0 where nothing was set yet."""

    version = VersionField(validators=[InputRequired()])
    may = RadioField("What its people may", choices=choices_of((each.value, RIGHTS[each][0]) for each in Rights))


def typed(alert: Alert) -> dict[str, object]:
    """The fields of the form as this alert fills them."""
    is_yes_or_no = is_plain_script(alert)
    same = ("title", "trunk", "script", "least_count", "zone", "tells_contacts", "tells_normal", "opens_draft")
    return {
        **{name: getattr(alert, name) for name in same},
        **{name: getattr(alert, name).value for name in ("area", "operator", "repeat", "level")},
        **{name: getattr(alert, name) // 60 for name in ("window", "must_last", "must_be_well")},
        "service": alert.service_id or 0,
        "metric": alert.metric.key if alert.metric is not None else "",
        "threshold": "" if is_yes_or_no else _written(alert.threshold),
        "reset": _written(alert.reset),
        "repeat_hour": "" if alert.repeat_hour is None else str(alert.repeat_hour),
        "recipients": "\n".join(each.address for each in alert.recipients),
        "template": alert.template_id or 0,
        "version": alert.version,
    }


def _written(amount: Decimal | None) -> str:
    """An amount as somebody would type it: no more digits than it has."""
    return "" if amount is None else f"{amount.normalize():f}"


def _seconds(minutes: int | None) -> int:
    return (minutes or 0) * 60
