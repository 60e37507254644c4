"""Inviting people, step by step: what was typed, what it will do, and doing what was agreed to."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from portal.accounts.actions.invitations import plan_invitations
from portal.accounts.models import Company
from portal.accounts.queries.people import companies_named
from portal.accounts.rules import one_line, text_key
from portal.accounts.rules.invitations import Line, Plan, line_of, read_lines
from portal.admin.people.forms import CompanyNameForm, InviteForm
from portal.catalogue.queries.lists import company_by_id
from portal.errors import RuleViolation

MATCHES = 8
"""Companies offered when what was typed names none exactly."""


@dataclass(frozen=True)
class Draft:
    """What was typed and what it would do. `is_agreed` once the plan that was shown is the plan that holds now."""

    lines: Sequence[Line]
    plan: Plan
    is_agreed: bool

    @property
    def seal(self) -> str:
        """What the form sends back to agree to this plan."""
        return _seal(self.plan)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to look at first: one new person, and what was typed is what will be done."""
        return len(self.plan.rows) == len(self.plan.to_do) == 1 and self.plan.rows[0].person_id is None


def draft_of(form: InviteForm, company: Company | None, *, many: bool) -> Draft:
    """Read the form and plan it; RuleViolation, with its field, for what cannot be read at all."""
    lines = read_lines(form.lines.data or "") if many else [_one(form)]
    if not lines:
        raise RuleViolation("Paste at least one line.", "lines")
    plan = plan_invitations(lines, company)
    return Draft(lines, plan, form.agreed.data == _seal(plan))


def chosen_company(form: CompanyNameForm) -> tuple[Company | None, Sequence[Company]]:
    """The company a form means: the one picked, else that of exactly this name; and the others it may have meant."""
    if form.company_id.data is not None:
        picked = company_by_id(form.company_id.data) if 0 < form.company_id.data < 2**31 else None
        return (picked, ()) if picked and picked.archived_at is None else (None, ())
    matches = companies_named(form.company.data or "", MATCHES)
    exact = [each for each in matches if each.name_key == text_key(form.company.data or "")]
    return (exact[0], ()) if exact else (None, matches)


def company_refusal(form: CompanyNameForm, matches: Sequence[Company]) -> RuleViolation:
    """Why no company could be taken from the form."""
    if matches:
        return RuleViolation("Which of these do you mean?", "company")
    typed = (form.company.data or "").strip()
    return RuleViolation(f"No company is called “{typed}”." if typed else "Say for which company.", "company")


def _one(form: InviteForm) -> Line:
    """The single person of the form, held to the same rules as a pasted line."""
    name, email = (form.name.data or "").strip(), (form.email.data or "").strip()
    if not name:
        raise RuleViolation("Type the person's name.", "name")
    if not email:
        raise RuleViolation("Type the person's e-mail address.", "email")
    line = line_of(name, email)
    if line.fault:
        raise RuleViolation(line.fault, "email" if one_line(name) and len(one_line(name)) <= 200 else "name")
    return line


def _seal(plan: Plan) -> str:
    return hashlib.sha256(plan.seal.encode("utf-8", "surrogatepass")).hexdigest()
