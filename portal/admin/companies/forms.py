"""The shape of companies, what they hold, and where they sign in."""

from wtforms import BooleanField, IntegerField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Optional

from portal.accounts.rules import TAG_LENGTH, TAGS_AT_MOST
from portal.admin.forms import StaffForm, VersionedForm


def _number(value: str | None) -> int | None:
    """A choice as the id it stands for; nothing chosen is None."""
    return int(value) if value else None


def _name(whose: str) -> StringField:
    return StringField(
        "Name",
        validators=[
            InputRequired(f"Give the {whose} a name."),
            Length(max=200, message="A name has at most 200 characters."),
        ],
    )


def _tags() -> StringField:
    most = TAGS_AT_MOST * (TAG_LENGTH + 2)
    return StringField("Tags", validators=[Optional(), Length(max=most, message=f"At most {TAGS_AT_MOST} tags.")])


class NewCompanyForm(StaffForm):
    name = _name("company")
    tags = _tags()
    home_id = SelectField("Home portal", coerce=_number, validate_choice=False)


class CompanyForm(VersionedForm):
    name = _name("company")
    tags = _tags()


class _HoldingFields(StaffForm):
    reference = StringField(
        "Reference", validators=[Optional(), Length(max=120, message="A reference has at most 120 characters.")]
    )
    component_ids = SelectMultipleField("Components of its own", coerce=int, validate_choice=False)


class NewHoldingForm(_HoldingFields):
    service_id = SelectField(
        "Service", coerce=_number, validate_choice=False, validators=[InputRequired("Choose a service.")]
    )


class HoldingForm(_HoldingFields, VersionedForm):
    """The same for one that exists; its service stays."""


class AdmissionForm(StaffForm):
    domain_id = IntegerField("Portal domain", validators=[InputRequired("Choose a portal domain.")])
    is_home = BooleanField("Home")


class ExceptionForm(StaffForm):
    domain_id = IntegerField(validators=[InputRequired()])
    area = StringField(validators=[InputRequired(), Length(max=24)])


class ViewAsForm(StaffForm):
    """On which portal to look as the company; its home first."""

    domain_id = RadioField("Portal", coerce=int, validate_choice=False)
