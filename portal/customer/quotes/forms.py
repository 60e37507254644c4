"""Forms with which a quote is answered. They check shapes; what is allowed the actions decide."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.errors import RuleViolation


class _AnswerForm(FlaskForm):
    def refuse(self, violation: RuleViolation) -> str:
        """Put a sentence beside its field; the sentence itself where it belongs to none."""
        field = self._fields.get(violation.field or "")
        if field is None:
            return violation.sentence
        field.errors = [*field.errors, violation.sentence]
        return ""


class AcceptForm(_AnswerForm):
    """A signature under what was `shown`: the hash of the offer on the page. `drawn` are the strokes of a drawn one."""

    shown = HiddenField(validators=[Length(max=64)])
    agrees = BooleanField(_("I have read the terms and agree to them."))
    name = StringField(_("Your name"), validators=[InputRequired(_("Write your name.")), Length(max=400)])
    signature = StringField(_("Your signature"), validators=[Length(max=400)])
    drawn = HiddenField(validators=[Length(max=60_000)])


class DeclineForm(_AnswerForm):
    """Why a quote is not wanted."""

    reason = TextAreaField(
        _("Why not?"),
        validators=[InputRequired(_("Say in a sentence why, so that we can do better.")), Length(max=10_000)],
    )
    name = StringField(_("Your name"), validators=[InputRequired(_("Write your name.")), Length(max=400)])
