"""The forms of another slot and of days without work, in the customer's own zone."""

import secrets
from datetime import datetime, tzinfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, Field, HiddenField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional

from portal.errors import RuleViolation
from portal.localtime import LocalTimeError, Reading, SkippedError, TwiceError, moment_of

LONGEST_TYPED = 20_000
TIME_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
READINGS = [
    SelectChoice(Reading.FIRST.value, lazy_gettext("The first, before clocks go back")),
    SelectChoice(Reading.SECOND.value, lazy_gettext("The second, an hour later")),
]


def _reading() -> RadioField:
    return RadioField(
        lazy_gettext("Which of the two"), choices=READINGS, validators=[Optional()], validate_choice=False
    )


class _WindowForm(FlaskForm):
    """Two times as clocks of the reader's zone show them."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(18), validators=[InputRequired(), Length(max=64)])
    starts_at = DateTimeLocalField(lazy_gettext("From"), [Optional()], format=TIME_FORMATS)
    starts_reading = _reading()
    ends_at = DateTimeLocalField(lazy_gettext("Until"), [Optional()], format=TIME_FORMATS)
    ends_reading = _reading()

    def moment(self, field: str, zone: tzinfo) -> datetime | None:
        """The moment a field stands for; RuleViolation where a clock never shows it, or twice and nobody said which."""
        wall: datetime | None = self[field].data
        if wall is None:
            return None
        which: Field = self[f"{field.removesuffix('_at')}_reading"]
        chosen = Reading(which.data) if which.data in list(Reading) else None
        try:
            return moment_of(wall, zone, chosen)
        except TwiceError as twice:
            which.errors = [*which.errors, _("Choose one.")]
            raise RuleViolation(
                _("Clocks go back that day, so this time comes twice. Say which of the two you mean."), field
            ) from twice
        except SkippedError as skipped:
            raise RuleViolation(
                _("Clocks go forward that day: this time does not exist. Choose an hour earlier or later."), field
            ) from skipped
        except LocalTimeError as refused:
            raise RuleViolation(_("Choose a day of our time."), field) from refused

    def refuse(self, violation: RuleViolation) -> None:
        """Put the sentence beside the field it belongs to, or above the form."""
        field: Field | None = self._fields.get(violation.field or "")
        if field is None:
            self.form_errors.append(violation.sentence)
        else:
            field.errors = [*field.errors, violation.sentence]


class SlotForm(_WindowForm):
    """What somebody asks whom the time does not suit."""

    text = TextAreaField(
        lazy_gettext("What you would like"),
        [InputRequired(lazy_gettext("Say why, and when it would suit you better.")), Length(max=LONGEST_TYPED)],
    )


class FreezeForm(_WindowForm):
    """Days on which nothing is to be worked on."""

    reason = StringField(lazy_gettext("Why"), [Length(max=LONGEST_TYPED)])
