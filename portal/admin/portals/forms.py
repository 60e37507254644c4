"""The shape of portal domains, their switches, and the exceptions from them."""

from typing import Any

from wtforms import BooleanField, Field, HiddenField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional, Regexp

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.domains.rules import AREA_WORDS, BUILT_AREAS, Area
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
    """Where it is reached, and how it looks."""

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

    @property
    def look(self) -> dict[str, Any]:
        """What the actions take beside the address and the brand."""
        names = ("accent", "language", "time_zone", "support_email", "support_phone")
        return {name: self[name].data for name in names}


class NewPortalForm(_Look, _Switches):
    """A new portal domain: every area is off but those ticked here."""


class PortalForm(_Look, VersionedForm):
    """The same for one that exists; its switches stand on its own page."""


class AreasForm(_Switches, VersionedForm):
    """All switches of a portal domain as they should be."""


class ExceptionForm(StaffForm):
    """One area, one company: open, closed, or (empty) as the switch says."""

    area = SelectField(choices=choices_of((area.value, AREA_WORDS[area].name) for area in BUILT_AREAS))
    company_id = IntegerField(validators=[InputRequired()])
    is_open = HiddenField(validators=[Regexp(r"(yes|no)?\Z")])
