"""The shape of components and groups."""

from wtforms import BooleanField, HiddenField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.catalogue.rules.folding import Fold

FOLDS = {
    Fold.OPEN.value: "Open",
    Fold.FOLDED.value: "Folded",
    Fold.UNLESS_INCIDENT.value: "Folded unless something in it is not operational",
}
"""What staff read of the ways a group stands on the status page."""


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
    only_if_degraded = BooleanField("Show it only while it is not operational")


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
    fold = SelectField("On the status page", choices=choices_of(FOLDS.items()), default=Fold.OPEN.value)


class GroupForm(NewGroupForm, VersionedForm):
    """The same for one that exists."""


class OrderForm(VersionedForm):
    """A whole order (tokens joined by commas), or one step of one of them ("c12:up"), and the list's version."""

    order = HiddenField(validators=[Optional(), Length(max=200_000)])
    move = HiddenField(validators=[Optional(), Length(max=40)])


class DependentsForm(StaffForm):
    """Which services depend on the component."""

    service_ids = SelectMultipleField("Services that depend on it", coerce=int, validate_choice=False)
