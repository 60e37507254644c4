"""The shape of portal domains, their names, switches, exceptions and wordings, and who is admitted."""

from typing import Any

from wtforms import BooleanField, Field, HiddenField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional, Regexp

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.domains.rules import AREA_WORDS, BUILT_AREAS, Area
from portal.domains.rules.support import Channels
from portal.domains.rules.wordings import KEYS, LENGTH
from portal.language import LANGUAGES, TIME_ZONES


class _Switches(StaffForm):
    """A switch for each area that has screens."""

    def switch(self, area: Area) -> Field:
        """The switch of this area."""
        field: Field = self[area.value]
        return field

    @property
    def areas(self) -> set[Area]:
        """The areas switched on."""
        return {area for area in BUILT_AREAS if self.switch(area).data}


for _area in BUILT_AREAS:
    setattr(_Switches, _area.value, BooleanField(AREA_WORDS[_area].name))


class _Look(StaffForm):
    """Where it is reached, how it looks, and how customers reach a human."""

    base_url = StringField(
        "Address",
        validators=[
            InputRequired("Type the address customers will use."),
            Length(max=300, message="That is too long."),
        ],
    )
    brand = StringField(
        "Brand",
        validators=[
            InputRequired("Give the brand a name."),
            Length(max=100, message="A brand has at most 100 characters."),
        ],
    )
    tagline = StringField(
        "Text under the brand",
        validators=[Optional(), Length(max=160, message="This text has at most 160 characters.")],
    )
    accent = StringField(
        "Accent colour",
        default="#2457d6",
        validators=[Regexp(r"#[0-9a-fA-F]{6}\Z", message="Write the colour like #2457d6.")],
    )
    language = SelectField("Language", choices=choices_of(LANGUAGES.items()))
    time_zone = SelectField("Time zone", choices=choices_of(TIME_ZONES), default="Europe/London")
    support_email = StringField(
        "Support e-mail", validators=[Optional(), Length(max=254, message="That is not an e-mail address.")]
    )
    support_phone = StringField(
        "Support telephone", validators=[Optional(), Length(max=40, message="A number has at most 40 characters.")]
    )
    support_hours = StringField(
        "Support hours", validators=[Optional(), Length(max=120, message="The hours have at most 120 characters.")]
    )
    help_url = StringField(
        "Help page", validators=[Optional(), Length(max=300, message="An address has at most 300 characters.")]
    )

    @property
    def look(self) -> dict[str, Any]:
        """What the actions take beside the address and the brand."""
        names = (
            "tagline",
            "accent",
            "language",
            "time_zone",
            "support_email",
            "support_phone",
            "support_hours",
            "help_url",
        )
        return {name: self[name].data for name in names}

    @property
    def channels(self) -> Channels:
        """The support channels as they are typed."""
        return Channels(self.support_email.data, self.support_phone.data, self.support_hours.data, self.help_url.data)


class NewPortalForm(_Look, _Switches):
    """A new portal domain: every area is off but those ticked here."""


class PortalForm(_Look, VersionedForm):
    """The same for one that exists; its switches stand on its own page."""


class PreviewForm(_Look):
    """The same once more, as it is being typed: sent by GET, never saved."""

    class Meta:
        csrf = False


class AreasForm(_Switches, VersionedForm):
    """All switches of a portal domain as they should be."""


class ExceptionForm(StaffForm):
    """One area, one company: open, closed, or (empty) as the switch says; `was` is what it was when that was asked.

    `q` is what was searched for, so that the search stays open.
    """

    area = SelectField(choices=choices_of((area.value, AREA_WORDS[area].name) for area in BUILT_AREAS))
    company_id = IntegerField(validators=[InputRequired()])
    is_open = HiddenField(validators=[Regexp(r"(yes|no)?\Z")])
    was = HiddenField(validators=[Regexp(r"(yes|no|any)?\Z")], default="any")
    q = HiddenField()


class HostForm(VersionedForm):
    """A further name."""

    host = StringField(
        "Name",
        validators=[InputRequired("Type the name."), Length(max=253, message="A name has at most 253 characters.")],
    )


class AdmissionForm(StaffForm):
    """A company that signs in here, or has its home here, from now on; or no longer does."""

    company_id = IntegerField(validators=[InputRequired()])
    is_home = BooleanField("Home")


class WordingForm(VersionedForm):
    """What each state is called in one language; empty is as everywhere."""

    language = SelectField("Language", choices=choices_of(LANGUAGES.items()))

    def field_of(self, key: str) -> Field:
        """The field of a wording, such as "severity.partial_rth"."""
        field: Field = self[field_name(key)]
        return field

    @property
    def wordings(self) -> dict[str, str]:
        """What is typed, by key."""
        return {key: self.field_of(key).data or "" for key in KEYS}


def field_name(key: str) -> str:
    """The name of the field of a wording."""
    return key.replace(".", "-")


for _key in KEYS:
    _length = Length(max=LENGTH, message=f"A wording has at most {LENGTH} characters.")
    setattr(WordingForm, field_name(_key), StringField(validators=[Optional(), _length]))
