"""What is asked for: a list of the firm's own, or everything about one company or person."""

from wtforms import SelectField, StringField
from wtforms.validators import Length, Optional

from portal.admin.forms import StaffForm, choices_of
from portal.records.rules.exports import ExportKind

KINDS = {
    ExportKind.COMPANY: "Everything about a company",
    ExportKind.PERSON: "Everything about a person",
    ExportKind.COMPANIES: "All companies",
    ExportKind.PEOPLE: "All people",
    ExportKind.COMPONENTS: "All components",
    ExportKind.SERVICES: "All services",
    ExportKind.HOLDINGS: "All holdings",
}


class ExportForm(StaffForm):
    """`about` is a company's name or a person's address, for what is about one."""

    kind = SelectField("What", choices=choices_of((kind.value, label) for kind, label in KINDS.items()))
    about = StringField("About whom", validators=[Optional(), Length(max=254, message="That is too long.")])
