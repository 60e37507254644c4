"""`/admin/preferences`: what a person, or a company for its people, is mailed about, as staff see and change it."""

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.models import Company, Person
from portal.accounts.queries.listings import company_by_id
from portal.accounts.queries.people import person_for_staff
from portal.accounts.rules import Permission
from portal.catalogue.queries.lists import member
from portal.fragments import redirect_to, render
from portal.notifications import actions
from portal.notifications.choosing import choice_of_company, choice_of_person, live_companies_of, own_words
from portal.notifications.wishes import is_contact
from portal.wish_form import WishForm

blueprint = Blueprint("admin_preferences", __name__, url_prefix="/admin/preferences")
access.staff(blueprint, Permission.SUPPRESSIONS_EDIT)


@blueprint.route("/people/<int:person_id>", methods=["GET", "POST"])
def of_person(person_id: int) -> Response:
    """What a person hears of, for all the companies they act for."""
    person, now = _person(person_id), clock.utcnow()
    choice, form = choice_of_person(person, live_companies_of(person_id), now), WishForm()
    if form.is_submitted():
        if not form.validate():
            abort(422)
        actions.choose_for_person(person, form.changes_of(choice), by=access.actor(), now=now)
        events.commit()
        flash("Saved.")
        return redirect_to(f"/admin/people/{person_id}#mails")
    return render(
        "admin/preferences/of_person.html",
        "admin/preferences/_of_person.html",
        person=person,
        choice=choice,
        has_own_words=any(own_words(person_id)),
    )


@blueprint.post("/people/<int:person_id>/follow")
def follow(person_id: int) -> Response:
    """Take back what the person has said, so that what their companies say counts."""
    person = _person(person_id)
    actions.follow_company(person, by=access.actor(), now=clock.utcnow())
    sentence = f"{person.name} hears of what their company has chosen."
    events.commit()
    flash(sentence)
    return redirect_to(f"/admin/people/{person_id}#mails")


@blueprint.route("/companies/<int:company_id>", methods=["GET", "POST"])
def of_company(company_id: int) -> Response:
    """What a company's people hear of who have said nothing themselves."""
    company, now = _company(company_id), clock.utcnow()
    choice, form = choice_of_company(company_id, now), WishForm()
    if form.is_submitted():
        if not form.validate():
            abort(422)
        actions.choose_for_company(company, form.changes_of(choice), by=access.actor(), now=now)
        events.commit()
        flash("Saved.")
        return redirect_to(f"/admin/companies/{company_id}#preferences")
    return render(
        "admin/preferences/of_company.html", "admin/preferences/_of_company.html", company=company, choice=choice
    )


@blueprint.post("/companies/<int:company_id>/contacts/<int:person_id>")
def contact(company_id: int, person_id: int) -> Response:
    """Let one of its people decide this for the whole company, or no longer."""
    company, person = _company(company_id), member(company_id, person_id) or abort(404)
    wanted = request.form.get("is_contact", "")
    if wanted not in {"yes", "no"}:
        abort(422)
    actions.set_contact(person, company, wanted == "yes", by=access.actor(), now=clock.utcnow())
    decides = is_contact(person_id, company_id)
    sentence = f"{person.name} {'decides' if decides else 'no longer decides'} what mails {company.name}."
    events.commit()
    flash(sentence)
    return redirect_to(f"/admin/companies/{company_id}#people")


def _person(person_id: int) -> Person:
    return person_for_staff(person_id) or abort(404)


def _company(company_id: int) -> Company:
    company = company_by_id(company_id)
    return company if company and company.archived_at is None else abort(404)
