"""The shape of stopping mails to an address by hand, and of letting them go again."""

from wtforms import DateField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm


class StopForm(StaffForm):
    """Which address, which of its mails, why, and until when."""

    address = StringField(
        "E-mail address",
        validators=[
            InputRequired("Type the address."),
            Length(max=254, message="An e-mail address has at most 254 characters."),
        ],
    )
    scope = SelectField("Which mails", validate_choice=False)
    detail = TextAreaField(
        "Why", validators=[InputRequired("Say why."), Length(max=500, message="At most 500 characters.")]
    )
    until = DateField("Until", validators=[Optional()])


class LiftForm(StaffForm):
    """Why mails will arrive now."""

    why = StringField(validators=[Length(max=500, message="At most 500 characters.")])
