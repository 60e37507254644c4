"""The shape of components and groups."""

from wtforms import HiddenField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm


def _number(value: str | None) -> int | None:
    """A choice as the id it stands for; nothing chosen is None."""
    return int(value) if value else None


class NewComponentForm(StaffForm):
    title = StringField(
        "Title",
        validators=[
            InputRequired("Give the component a title."),
            Length(max=200, message="A title has at most 200 characters."),
        ],
    )
    description = TextAreaField(
        "Description", validators=[Optional(), Length(max=2000, message="A description has at most 2000 characters.")]
    )
    group_id = SelectField("Group", coerce=_number, validate_choice=False)


class ComponentForm(NewComponentForm, VersionedForm):
    """The same for one that exists."""


class NewGroupForm(StaffForm):
    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the group a name."),
            Length(max=200, message="A name has at most 200 characters."),
        ],
    )


class GroupForm(NewGroupForm, VersionedForm):
    """The same for one that exists."""


class OrderForm(VersionedForm):
    """A whole order (tokens joined by commas), or one step of one of them ("c12:up"), and the list's version."""

    order = HiddenField(validators=[Optional(), Length(max=200_000)])
    move = HiddenField(validators=[Optional(), Length(max=40)])


class DependentsForm(StaffForm):
    """Which services depend on the component."""

    service_ids = SelectMultipleField("Services that depend on it", coerce=int, validate_choice=False)
