"""The shape of a choice of lists."""

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import AnyOf, InputRequired, Length


class ListForm(FlaskForm):
    """One list, and whether its mails are wanted."""

    topic = StringField(validators=[InputRequired(), Length(max=60)])
    wanted = StringField(validators=[InputRequired(), AnyOf(["yes", "no"])])
