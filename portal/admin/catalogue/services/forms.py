"""The shape of services."""

from wtforms import BooleanField, HiddenField, RadioField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.catalogue.rules.services import ALIAS_LENGTH, ALIASES_AT_MOST, ICONS, STARTERS, STATUSES, Details
from portal.filters import LOOKS

ALIASES_TYPED = ALIASES_AT_MOST * (ALIAS_LENGTH + 2)
"""Characters of all other names together, with what parts them."""


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
    icon = RadioField("Icon", choices=choices_of([("", "None"), *ICONS.items()]), default="", validate_choice=False)
    aliases = StringField(
        "Other names",
        validators=[
            Optional(),
            Length(max=ALIASES_TYPED, message=f"A service has at most {ALIASES_AT_MOST} other names."),
        ],
    )
    is_global = BooleanField("Every company holds it, later ones too")
    notifies = SelectMultipleField(
        "Statuses that are mailed",
        choices=choices_of((each, str(LOOKS["service"][each].label)) for each in STATUSES),
        default=STATUSES,
        validate_choice=False,
    )
    component_ids = SelectMultipleField("Components it depends on", coerce=int, validate_choice=False)

    @property
    def details(self) -> Details:
        """What was said of it beside its name, category and description."""
        return Details(self.icon.data or "", (self.aliases.data or "",), tuple(self.notifies.data or ()))


class ServiceForm(NewServiceForm, VersionedForm):
    """The same for one that exists."""


class ArchiveForm(VersionedForm):
    """With `ends_holdings` what is held of it ends too."""

    ends_holdings = BooleanField()


class StartersForm(StaffForm):
    """Which of the services to begin with; `declines` where none of them is wanted."""

    keys = SelectMultipleField(
        "Services to begin with",
        choices=choices_of((each.key, each.name) for each in STARTERS),
        default=[each.key for each in STARTERS],
    )
    declines = HiddenField()


class OrderForm(VersionedForm):
    """A whole order (ids joined by commas), or one step of one of them ("12:up"), and the list's version."""

    order = HiddenField(validators=[Optional(), Length(max=200_000)])
    move = HiddenField(validators=[Optional(), Length(max=40)])
