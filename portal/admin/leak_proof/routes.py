"""`/admin/settings/leak-proof`: does anything the office alone should read surface anywhere for customers?"""

from flask import Blueprint, Response
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import StaffForm, company_called
from portal.admin.leak_proof.doors import doors
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.jobs.proof import SECONDS, Sort, prove
from portal.jobs.proof.notes import last_proof, likely_company, note

blueprint = Blueprint("admin_leak_proof", __name__, url_prefix="/admin/settings/leak-proof")
access.staff(blueprint, Permission.WORK_SETTINGS_EDIT)

ADDRESS = "/admin/settings/leak-proof"

SORTS = {
    Sort.PAGE: "Pages",
    Sort.FRAGMENT: "Parts of pages that refresh by themselves",
    Sort.FEED: "Feeds",
    Sort.EXPORT: "Files of exports",
    Sort.API: "Answers of the API",
    Sort.MAIL: "Mails",
    Sort.CALL: "Calls of webhooks",
    Sort.SHEET: "Style sheets, scripts and pictures",
}
"""What is counted on the screen, in its order."""


class ProofForm(StaffForm):
    """About which company the proof is run."""

    company = StringField(
        "Company",
        validators=[
            InputRequired("Name a company to look through."),
            Length(max=200, message="That is no company’s name."),
        ],
    )


@blueprint.route("", methods=["GET", "POST"])
def proof() -> Response:
    """What the last proof found, and the button that runs another."""
    form = ProofForm()
    if not form.validate_on_submit():
        return _page(form, 422 if form.is_submitted() else 200)
    by, now = access.actor(), clock.utcnow()
    try:
        company_id = company_called(form.company.data or "").id
        # It gives up the transaction it finds; from here to the note nothing is held, and nobody waits.
        found = prove(company_id, doors(), now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, 422)
    note(company_id, found, by=by, now=now)
    events.commit()
    return redirect_to(ADDRESS)


def _page(form: ProofForm, status: int) -> Response:
    last = last_proof()
    if not form.is_submitted():
        likely = None if last and last.company_name else likely_company()
        form.company.data = last.company_name if last and last.company_name else likely.name if likely else ""
    return render(
        "admin/leak_proof/leak_proof.html",
        "admin/leak_proof/_leak_proof.html",
        status,
        form=form,
        last=last,
        sorts=SORTS,
        seconds=int(SECONDS),
        at=ADDRESS,
    )
