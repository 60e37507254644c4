"""The shape of a staff member's own account."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length
from wtforms.widgets import HiddenInput

from portal.language import LANGUAGES, TIME_ZONES


class ProfileForm(FlaskForm):
    """Name, language of mails, and the zone times are shown in."""

    version = IntegerField(widget=HiddenInput(), validators=[InputRequired()])
    name = StringField(
        "Name",
        validators=[
            InputRequired("Type your name."),
            Length(max=200, message="Give a name of at most 200 characters."),
        ],
    )
    language = SelectField("Language", choices=[SelectChoice(*pair) for pair in LANGUAGES.items()])
    time_zone = SelectField("Time zone", choices=[SelectChoice(*pair) for pair in TIME_ZONES])


class FirstCodeForm(FlaskForm):
    """The first code of an app that was just set up."""

    code = StringField("Code", validators=[InputRequired("Type the code the app shows."), Length(max=40)])


class PolicyForm(FlaskForm):
    """Whether all staff need a second factor."""

    version = IntegerField(widget=HiddenInput(), validators=[InputRequired()])
    required = BooleanField("All staff sign in with a second factor")
