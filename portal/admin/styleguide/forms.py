"""A form with one field of every kind, for the style guide alone: it goes nowhere."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired

# The type stubs of WTForms know only tuples here, which WTForms itself is giving up.
STATES: Any = ["Investigating", "Identified", "Watching", "Fixed"]
COMPONENTS: Any = ["SIP trunks", "Hosted telephony", "Fibre access", "Portal"]
AUDIENCES: Any = ["Everyone", "Affected companies"]


class SampleForm(FlaskForm):
    """Every kind of field there is a look for."""

    version = HiddenField()
    title = StringField("Title", [InputRequired()])
    reference = StringField("Reference")
    password = PasswordField("Password", [InputRequired()])
    day = DateField("Day", [InputRequired()])
    state = SelectField("State", choices=STATES)
    body = TextAreaField("What happened", [InputRequired()])
    audience = RadioField("Audience", choices=AUDIENCES)
    components = SelectMultipleField("Components", choices=COMPONENTS)
    notify = BooleanField("Notify by mail")
    status_area = BooleanField("Status")
    services_area = BooleanField("Services")
