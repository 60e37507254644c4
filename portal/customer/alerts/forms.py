"""The forms of alerts as customers make them: figures of their own company, told to people of it."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError
from wtforms.widgets import HiddenInput

from portal.accounts.rules import text_key
from portal.alerts.models import Alert
from portal.alerts.recipients import Contact
from portal.alerts.rules import LEAST_COUNT, TITLE_LENGTH, AlertArea, Level, Operator, RecipientKind, Repeat
from portal.alerts.rules.checks import Wanted
from portal.customer.alerts.words import areas, levels, operators, repeats
from portal.errors import RuleViolation
from portal.usage.rules import exact

LONGEST_TYPED = 20_000
OWN = "custom:"
"""What the choice of a figure of the company's own begins with; its key follows."""

DAY_MINUTES = 1440


class Limit(StringField):
    """An amount as people write one, with a point or a comma; None where nothing is typed."""

    amount: Decimal | None = None

    def pre_validate(self, form: object) -> None:
        """Read the amount, or say that it is none."""
        typed = (self.data or "").strip()
        try:
            self.amount = exact(typed) if typed else None
        except ValueError:
            raise ValidationError(gettext("Write a number, such as 12 or 12.5.")) from None


class VersionField(IntegerField):
    """The version a form was opened with. After a conflict it carries the newer one the route gave it."""

    widget = HiddenInput()

    def _value(self) -> str:
        return "" if self.data is None else str(self.data)


class _Form(FlaskForm):
    """A form that can take an action's refusal."""

    def refuse(self, violation: RuleViolation) -> None:
        """Put the sentence beside the field it belongs to, or above the form."""
        field: Field | None = self._fields.get(violation.field or "")
        if field is None:
            self.form_errors.append(violation.sentence)
        else:
            field.errors = [*field.errors, violation.sentence]


class PressedForm(_Form):
    """A button that does one thing to an alert."""

    version = VersionField(validators=[InputRequired()])


class TestForm(_Form):
    """A test, to whoever presses the button."""


class LimitForm(PressedForm):
    """Where an alert about the company's money is triggered, and where it is normal again."""

    threshold = Limit(lazy_gettext("Threshold"), validators=[Length(max=60)])
    reset = Limit(lazy_gettext("Normal again at"), validators=[Length(max=60)])


def _minutes(label: str, default: int = 0) -> IntegerField:
    sentence = lazy_gettext("Write minutes, from 0 to 1,440.")
    return IntegerField(label, default=default, validators=[Optional(), NumberRange(0, DAY_MINUTES, sentence)])


class AlertForm(_Form):
    """What is watched, when that is bad, and who hears of it. `people` and `numbers` are this company's."""

    title = StringField(
        lazy_gettext("Title"),
        validators=[
            InputRequired(lazy_gettext("Give the alert a title.")),
            Length(max=TITLE_LENGTH, message=lazy_gettext("A title has at most 200 characters.")),
        ],
    )
    area = SelectField(lazy_gettext("What is watched"))
    service = SelectField(lazy_gettext("Of one service"), coerce=int, default=0)
    operator = SelectField(lazy_gettext("When it"))
    threshold = Limit(lazy_gettext("Threshold"), validators=[Length(max=60)])
    reset = Limit(lazy_gettext("Normal again at"), validators=[Length(max=60)])
    window = _minutes(lazy_gettext("Sample period, in minutes"), 15)
    least_count = IntegerField(
        lazy_gettext("Not judged by fewer calls than"),
        default=LEAST_COUNT,
        validators=[Optional(), NumberRange(0, 1_000_000, lazy_gettext("Write a number from 0 to 1,000,000."))],
    )
    must_last = _minutes(lazy_gettext("Must last, in minutes"))
    must_be_well = _minutes(lazy_gettext("Must be well for, in minutes"))
    people = SelectMultipleField(lazy_gettext("Who is told"))
    numbers = TextAreaField(lazy_gettext("Telephones"), validators=[Length(max=LONGEST_TYPED)])
    tells_contacts = BooleanField(lazy_gettext("Also tell the contacts of your company"))
    level = SelectField(lazy_gettext("How much it matters"), default=Level.WARNING.value)
    repeat = SelectField(lazy_gettext("Say it"))
    repeat_hour = SelectField(lazy_gettext("At this hour"), default="")
    tells_normal = BooleanField(lazy_gettext("Also say when it is normal again"), default=True)

    def offer(
        self,
        metrics: Iterable[tuple[str, str]],
        services: Iterable[tuple[int, str]],
        contacts: Sequence[Contact],
    ) -> None:
        """Offer these figures of its own, as (key, name), services and people, beside what everybody may choose."""
        own = [(f"{OWN}{key}", name) for key, name in metrics]
        self.area.choices = _choices([*areas(), *own])
        self.service.choices = _choices([(0, gettext("The whole company")), *services])
        self.operator.choices = _choices(operators())
        self.repeat.choices = _choices(repeats())
        self.level.choices = _choices(levels())
        hours = [(str(hour), f"{hour:02}:00") for hour in range(24)]
        self.repeat_hour.choices = _choices([("", gettext("A day after the last")), *hours])
        self.people.choices = _choices([(each.address, each.label) for each in contacts])

    @property
    def watches(self) -> AlertArea:
        """The area that is chosen."""
        chosen = self.area.data or ""
        return AlertArea.CUSTOM if chosen.startswith(OWN) else AlertArea(chosen)

    @property
    def metric_key(self) -> str:
        """The key of the figure of its own that is chosen; empty for the others."""
        chosen = self.area.data or ""
        return chosen.removeprefix(OWN) if chosen.startswith(OWN) else ""

    def recipients(self, kept: Collection[str]) -> tuple[str, ...]:
        """Whom it is to tell: those of `kept`, whom customers are not shown, and who is chosen here, each once."""
        typed = (self.numbers.data or "").replace(",", "\n").replace(";", "\n").splitlines()
        return tuple(dict.fromkeys(each.strip() for each in [*kept, *(self.people.data or []), *typed] if each.strip()))


class NewAlertForm(AlertForm):
    """And the key that makes sending it twice one alert."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])


class EditAlertForm(AlertForm):
    """And the version it was opened with."""

    version = VersionField(validators=[InputRequired()])


def asked(form: AlertForm, before: Wanted, *, metric_id: int | None, kept: Collection[str]) -> Wanted:
    """What is typed; what customers have no field for stays as it was `before`. RuleViolation is for the action."""
    area = form.watches
    return Wanted(
        title=form.title.data or "",
        area=area,
        operator=Operator(form.operator.data),
        company_id=before.company_id,
        service_id=form.service.data or None,
        trunk=before.trunk if area.is_of_calls and not form.service.data else "",
        metric_id=metric_id,
        threshold=form.threshold.amount,
        reset=form.reset.amount,
        window=_seconds(form.window.data),
        least_count=form.least_count.data or 0,
        must_last=_seconds(form.must_last.data),
        must_be_well=_seconds(form.must_be_well.data),
        repeat=Repeat(form.repeat.data),
        repeat_hour=int(form.repeat_hour.data) if form.repeat_hour.data else None,
        zone=before.zone,
        template_id=before.template_id,
        level=Level(form.level.data),
        tells_normal=bool(form.tells_normal.data),
        tells_contacts=bool(form.tells_contacts.data),
        opens_draft=before.opens_draft,
        recipients=form.recipients(kept),
    )


def typed(alert: Alert, shown: Collection[int]) -> dict[str, object]:
    """The fields of the form as this alert fills them; of its recipients only those that are `shown`."""
    named = [each for each in alert.recipients if each.id in shown]
    same = ("title", "least_count", "tells_contacts", "tells_normal")
    return {
        **{name: getattr(alert, name) for name in same},
        **{name: getattr(alert, name).value for name in ("operator", "repeat", "level")},
        **{name: getattr(alert, name) // 60 for name in ("window", "must_last", "must_be_well")},
        "area": f"{OWN}{alert.metric.key}" if alert.metric is not None else alert.area.value,
        "service": alert.service_id or 0,
        "threshold": written(alert.threshold),
        "reset": written(alert.reset),
        "repeat_hour": "" if alert.repeat_hour is None else str(alert.repeat_hour),
        "people": [each.address for each in named if each.kind is RecipientKind.MAIL],
        "numbers": "\n".join(each.address for each in named if each.kind is RecipientKind.PHONE),
        "version": alert.version,
    }


def written(amount: Decimal | None) -> str:
    """An amount as somebody would type it: no more digits than it has."""
    return "" if amount is None else f"{amount.normalize():f}"


def with_named(contacts: Sequence[Contact], alert: Alert, shown: dict[int, str]) -> list[Contact]:
    """The contacts that are offered, with those it names already under the address it names them by."""
    named = [each for each in alert.recipients if each.id in shown and each.kind is RecipientKind.MAIL]
    keys = {text_key(each.address) for each in named}
    own = [Contact(each.address, f"{shown[each.id]} ({each.address})") for each in named]
    return [*own, *(each for each in contacts if text_key(each.address) not in keys)]


def _choices(pairs: Iterable[tuple[int | str, str]]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in pairs]


def _seconds(minutes: int | None) -> int:
    return (minutes or 0) * 60
