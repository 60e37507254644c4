"""Forms of customers about jobs and quotes. They check shapes; what is allowed the actions decide."""

import secrets
from collections.abc import Sequence

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.errors import RuleViolation
from portal.services.queries import ServiceLine

KEY_LENGTH = 64


class BookingForm(FlaskForm):
    """What is wanted; `key` makes a form that is sent twice one booking. Refused files are told beside them."""

    title = StringField(
        _("What is it about?"),
        validators=[InputRequired(_("Say in a few words what it is about.")), Length(max=400)],
    )
    description = TextAreaField(_("Tell us more"), validators=[Length(max=50_000)])
    site = StringField(_("Where?"), validators=[Length(max=600)])
    holding_id = SelectField(_("Which of your services is it about?"), validate_choice=False)
    key = HiddenField(validators=[InputRequired(), Length(max=KEY_LENGTH)])

    file_errors: Sequence[str] = ()
    refusal: str = ""

    @property
    def holding(self) -> int | None:
        """The chosen holding; -1, which nobody has, for what is no number."""
        chosen = str(self.holding_id.data or "")
        if not chosen:
            return None
        return int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 10 else -1

    def offer(self, services: Sequence[ServiceLine]) -> None:
        """Let one of these services be chosen, or none."""
        named = [
            (str(each.holding_id), f"{each.name} ({each.reference})" if each.reference else each.name)
            for each in services
        ]
        self.holding_id.choices = [("", _("None in particular")), *named]

    def refuse(self, violation: RuleViolation) -> None:
        """Put a sentence beside what it is about."""
        if violation.field == "files":
            self.file_errors = [*self.file_errors, violation.sentence]
        elif violation.field in self._fields:
            field = self._fields[violation.field]
            field.errors = [*field.errors, violation.sentence]
        else:
            self.refusal = violation.sentence


class FilesForm(FlaskForm):
    """Files for an item; it has nothing of its own but the token."""

    file_errors: Sequence[str] = ()


def fresh_booking() -> BookingForm:
    """An empty form with a key of its own."""
    return BookingForm(formdata=None, key=secrets.token_urlsafe(16))
