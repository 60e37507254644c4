"""What somebody types to say that they mean this person or company and no other."""

from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.admin.forms import VersionedForm


class ErasureForm(VersionedForm):
    typed = StringField(
        "Type it to confirm",
        validators=[
            InputRequired("Type it exactly, so that nobody else is meant."),
            Length(max=254, message="That is too long."),
        ],
    )
