"""What staff forms and lists share: the version of the row, refusals beside their field, the page of a list."""

from collections.abc import Iterable

from flask import abort, request
from flask_wtf import FlaskForm
from wtforms import Field, IntegerField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired
from wtforms.widgets import HiddenInput

from portal.accounts.models import Company
from portal.accounts.queries.tokens import companies_called
from portal.errors import RuleViolation


def choices_of(pairs: Iterable[tuple[int | str, str]]) -> list[SelectChoice]:
    """The choices of a field from pairs of value and label."""
    return [SelectChoice(value, label) for value, label in pairs]


class StaffForm(FlaskForm):
    """A form that can take an action's refusal."""

    def refuse(self, violation: RuleViolation) -> None:
        """Put the sentence beside the field it belongs to, or above the form."""
        field: Field | None = self._fields.get(violation.field or "")
        if field is None:
            self.form_errors.append(violation.sentence)
        else:
            field.errors = [*field.errors, violation.sentence]


class VersionField(IntegerField):
    """The version a form was opened with. After a conflict it carries the newer one the route gave it."""

    widget = HiddenInput()

    def _value(self) -> str:
        return "" if self.data is None else str(self.data)


class VersionedForm(StaffForm):
    """A form on a row that others may edit too: it carries the version it was opened with."""

    version = VersionField(validators=[InputRequired()])


class RowForm(VersionedForm):
    """A button that does one thing to a row: nothing but its version."""


def page_wanted() -> int:
    """The page of a list the address asks for; 404 for what is no page number."""
    wanted = request.args.get("page", "1")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 9):
        abort(404)
    return int(wanted)


def text_wanted() -> str:
    """What the list is searched for, cut to a length that any name has."""
    return request.args.get("q", "")[:200].strip()


def company_called(name: str) -> Company:
    """The company of this name, or the only one whose name holds it; RuleViolation at `company` otherwise."""
    if not name.strip():
        raise RuleViolation("Say which company.", "company")
    found = companies_called(name)
    if not found:
        raise RuleViolation("There is no company of this name.", "company")
    if len(found) > 1:
        several = ", ".join(each.name for each in found[:3])
        raise RuleViolation(f"Several companies are called like that: {several} … Type the whole name.", "company")
    return found[0]
