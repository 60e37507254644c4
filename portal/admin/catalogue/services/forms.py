"""The shape of services."""

from wtforms import HiddenField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm


class NewServiceForm(StaffForm):
    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the service a name."),
            Length(max=200, message="A name has at most 200 characters."),
        ],
    )
    category = StringField(
        "Category", validators=[Optional(), Length(max=100, message="A category has at most 100 characters.")]
    )
    description = TextAreaField(
        "Description", validators=[Optional(), Length(max=2000, message="A description has at most 2000 characters.")]
    )
    component_ids = SelectMultipleField("Components it depends on", coerce=int, validate_choice=False)


class ServiceForm(NewServiceForm, VersionedForm):
    """The same for one that exists."""


class OrderForm(VersionedForm):
    """A whole order (ids joined by commas), or one step of one of them ("12:up"), and the list's version."""

    order = HiddenField(validators=[Optional(), Length(max=200_000)])
    move = HiddenField(validators=[Optional(), Length(max=40)])
