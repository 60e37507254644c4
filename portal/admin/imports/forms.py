"""The shape of an import: what is in the file, which of its columns is which, and what to do with the result."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_wtf.file import FileField
from wtforms import BooleanField, HiddenField, RadioField, SelectField
from wtforms.validators import InputRequired, Length

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.records.actions import options_of
from portal.records.kinds import ImportKind, all_kinds
from portal.records.models import ImportRun


class NewImportForm(StaffForm):
    kind = RadioField("What is in the file?", validators=[InputRequired("Choose what is in the file.")])
    file = FileField("File")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind.choices = choices_of((kind.name, kind.title) for kind in all_kinds())


class ApplyForm(VersionedForm):
    """What the dry run said, and whether what it refused is left out."""

    plan_hash = HiddenField(validators=[InputRequired(), Length(max=64)])
    leave_out = BooleanField()


class ColumnsForm(VersionedForm):
    """One choice for each column of the file, and those for the whole file. Made by `columns_form`."""

    def mapping(self, headers: Sequence[str]) -> dict[str, int]:
        """For each column of the kind the place it is read from; a second place for the same one gets the sentence."""
        found: dict[str, int] = {}
        for place in range(len(headers)):
            field = self[place_name(place)]
            if not field.data:
                continue
            if field.data in found:
                field.errors = [f"“{headers[found[field.data]]}” is read as this already. Choose one of the two."]
            else:
                found[field.data] = place
        return found

    def chosen(self, kind: ImportKind) -> dict[str, str]:
        """What was chosen for the whole file."""
        return {option.name: self[option_name(option.name)].data or "" for option in options_of(kind)}


def place_name(place: int) -> str:
    """The name of the field for one column of the file."""
    return f"column_{place}"


def option_name(name: str) -> str:
    """The name of the field for one choice for the whole file."""
    return f"option_{name}"


def columns_form(kind: ImportKind, run: ImportRun) -> ColumnsForm:
    """A form for the columns of this file, filled with what was guessed or chosen."""
    fields: dict[str, Any] = {}
    data: dict[str, str] = {}
    offered = choices_of([("", "Left out"), *((column.name, column.label) for column in kind.columns)])
    read_as: Mapping[int, str] = {place: name for name, place in run.mapping.items()}
    for place, header in enumerate(run.headers):
        fields[place_name(place)] = SelectField(f"“{header}” is read as", choices=offered)
        data[place_name(place)] = read_as.get(place, "")
    for option in options_of(kind):
        values = option.values()
        fields[option_name(option.name)] = SelectField(
            option.label, description=option.hint, choices=choices_of(values)
        )
        data[option_name(option.name)] = str(run.choices.get(option.name, values[0][0] if values else ""))
    made = type("ColumnsForm", (ColumnsForm,), fields)
    form: ColumnsForm = made(data={**data, "version": run.version})
    return form
