"""The shape of what assistants may do."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField
from wtforms.validators import InputRequired
from wtforms.widgets import HiddenInput


class PermissionsForm(FlaskForm):
    """Whether questions about service statuses are answered."""

    version = IntegerField(widget=HiddenInput(), validators=[InputRequired()])
    is_open = BooleanField("Service status access")
