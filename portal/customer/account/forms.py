"""The shape of one's own account."""

from zoneinfo import available_timezones

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import HiddenInput

from portal.language import LANGUAGES

ZONES = [
    SelectChoice(name, name.replace("_", " "))
    for name in sorted(available_timezones())
    if name == "UTC" or ("/" in name and not name.startswith("Etc/"))
]
"""The zones people choose from: those named after a place, and UTC."""


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
    time_zone = SelectField(_("Time zone"), choices=ZONES)
