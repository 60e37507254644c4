"""The shape of a new token."""

from datetime import timedelta

from wtforms import RadioField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.rules.tokens import NAME_LENGTH, Scope
from portal.admin.forms import StaffForm, choices_of

LIVES = {30: "30 days", 90: "90 days", 365: "A year", 0: "Until it is revoked"}
"""How long a token may live, in days; 0 is for ever."""


class NewTokenForm(StaffForm):
    """What a token is called, what it may do, for whom, and how long."""

    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the token a name."),
            Length(max=NAME_LENGTH, message=f"A name has at most {NAME_LENGTH} characters."),
        ],
    )
    scope = RadioField("What it may do", choices=choices_of((each.value, each.value) for each in Scope), default="read")
    company = StringField("Company", validators=[Length(max=200, message="That is no company’s name.")])
    expires_days = SelectField("It ends after", choices=choices_of(LIVES.items()), coerce=int, default=365)

    @property
    def lives(self) -> timedelta | None:
        """How long it may live; None for ever."""
        return timedelta(days=self.expires_days.data) if self.expires_days.data else None
