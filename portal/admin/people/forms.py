"""The shape of people: how one is called, which role, and who is invited."""

from wtforms import HiddenField, IntegerField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.accounts.rules import Role
from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.admin.people.words import ROLE_WORDS
from portal.language import LANGUAGES, TIME_ZONES

CUSTOMER = "customer"
"""How a form says that somebody has no staff role."""

_LONGEST_PASTE = 100_000


class PersonForm(VersionedForm):
    """How somebody is addressed. Whatever else is sent is not read."""

    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the person a name."),
            Length(max=200, message="A name has at most 200 characters."),
        ],
    )
    email = StringField(
        "E-mail address",
        validators=[Optional(), Length(max=254, message="An address has at most 254 characters.")],
    )
    language = SelectField("Language", choices=choices_of(LANGUAGES.items()))
    time_zone = SelectField("Time zone", choices=choices_of(TIME_ZONES))


class RoleForm(VersionedForm):
    """Which staff role somebody has; "customer" is none."""

    role = RadioField("Role", choices=choices_of((role or CUSTOMER, words[0]) for role, words in ROLE_WORDS.items()))

    @property
    def wanted(self) -> Role | None:
        return None if self.role.data == CUSTOMER else Role(self.role.data)


class CompanyNameForm(StaffForm):
    """A company by its name; `company_id` once one of several was picked."""

    company = StringField("Company", validators=[Optional(), Length(max=200, message="No company is called that.")])
    company_id = IntegerField(validators=[Optional()])


class InviteForm(CompanyNameForm):
    """Who is invited: one by name and address, or several by lines. `agreed` seals the plan that was shown."""

    name = StringField("Name", validators=[Optional(), Length(max=200, message="A name has at most 200 characters.")])
    email = StringField(
        "E-mail address", validators=[Optional(), Length(max=254, message="That is not an e-mail address.")]
    )
    lines = TextAreaField(
        "People", validators=[Optional(), Length(max=_LONGEST_PASTE, message="That is too much text at once.")]
    )
    agreed = HiddenField(validators=[Optional(), Length(max=64)])


class InviteStaffForm(InviteForm):
    """The same to the staff, with the role everybody on it gets."""

    role = RadioField(
        "Role", default=Role.OFFICE.value, choices=choices_of((role.value, ROLE_WORDS[role][0]) for role in Role)
    )
