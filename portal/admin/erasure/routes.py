"""`/admin/erasure`: forgetting a person who asks for it, deleting a company that was closed. First what it touches."""

from flask import Blueprint, Response, abort, flash

from portal import access, clock, events
from portal.accounts.actions.anonymise import anonymise_person, delete_company
from portal.accounts.queries.people import person_for_staff
from portal.accounts.rules import Permission
from portal.admin.erasure.forms import ErasureForm
from portal.catalogue.queries.lists import company_by_id
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.records import erasure
from portal.records.rules.exports import ExportKind

blueprint = Blueprint("admin_erasure", __name__, url_prefix="/admin/erasure")
access.staff(blueprint, Permission.PEOPLE_EDIT)


@blueprint.route("/people/<int:person_id>", methods=["GET", "POST"])
def person(person_id: int) -> Response:
    """What is held about a person, and the button that takes their name out of all of it."""
    wanted = person_for_staff(person_id) or abort(404)
    form = ErasureForm(obj=wanted)
    if form.is_submitted():
        access.require_recent_password()
    if not form.validate_on_submit():
        return _page(ExportKind.PERSON, wanted.id, wanted.email, form, 422 if form.is_submitted() else 200)
    try:
        anonymise_person(
            wanted, form.typed.data or "", version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(ExportKind.PERSON, person_id, wanted.email, form, 422)
    events.commit()
    flash(f"Person #{person_id} is forgotten. What they did is told of a former person.")
    return redirect_to("/admin/companies")


@blueprint.route("/companies/<int:company_id>", methods=["GET", "POST"])
def company(company_id: int) -> Response:
    """What an archived company has, and the button that deletes it."""
    access.require(Permission.COMPANIES_EDIT)
    wanted = company_by_id(company_id) or abort(404)
    if wanted.archived_at is None:
        abort(404)
    form = ErasureForm(obj=wanted)
    if form.is_submitted():
        access.require_recent_password()
    if not form.validate_on_submit():
        return _page(ExportKind.COMPANY, wanted.id, wanted.name, form, 422 if form.is_submitted() else 200)
    name = wanted.name
    try:
        delete_company(
            wanted, form.typed.data or "", version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(ExportKind.COMPANY, company_id, name, form, 422)
    events.commit()
    flash(f"{name} is deleted.")
    return redirect_to("/admin/companies?show=archived")


def _page(kind: ExportKind, subject_id: int, called: str, form: ErasureForm, status: int) -> Response:
    return render(
        "admin/erasure/erasure.html",
        "admin/erasure/_erasure.html",
        status,
        kind=kind.value,
        called=called,
        subject_id=subject_id,
        touched=erasure.touched(kind, subject_id),
        form=form,
    )
