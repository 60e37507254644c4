"""The shape of one's own account."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length
from wtforms.widgets import HiddenInput

from portal.language import LANGUAGES, TIME_ZONES


class AccountForm(FlaskForm):
    """Name, language and time zone. Whatever else is sent is not read."""

    version = IntegerField(widget=HiddenInput(), validators=[InputRequired()])
    name = StringField(
        _("Name"),
        validators=[
            InputRequired(_("Type your name.")),
            Length(max=200, message=_("Give a name of at most 200 characters.")),
        ],
    )
    language = SelectField(_("Language"), choices=[SelectChoice(*pair) for pair in LANGUAGES.items()])
    time_zone = SelectField(_("Time zone"), choices=[SelectChoice(*pair) for pair in TIME_ZONES])
