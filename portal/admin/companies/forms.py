"""The shape of companies, their people, and what they hold."""

from wtforms import BooleanField, HiddenField, IntegerField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.language import LANGUAGES, TIME_ZONES


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


class NewCompanyForm(StaffForm):
    name = _name("company")
    home_id = SelectField("Home portal", coerce=_number, validate_choice=False)


class CompanyForm(VersionedForm):
    name = _name("company")


class NewPersonForm(StaffForm):
    """`known_id` is the person who already has this address, once the form has asked whether that one is meant."""

    name = _name("person")
    email = StringField(
        "E-mail address",
        validators=[
            InputRequired("Type the person's e-mail address."),
            Length(max=254, message="That is not an e-mail address."),
        ],
    )
    language = SelectField("Language", choices=choices_of(LANGUAGES.items()))
    time_zone = SelectField("Time zone", choices=choices_of(TIME_ZONES))
    known_id = HiddenField(validators=[Optional(), Length(max=20)])


class PersonForm(VersionedForm):
    name = _name("person")
    language = SelectField("Language", choices=choices_of(LANGUAGES.items()))
    time_zone = SelectField("Time zone", choices=choices_of(TIME_ZONES))


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
