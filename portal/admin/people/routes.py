"""`/admin/people`: everybody who can sign in, customers and staff, and what each of them may do."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, current_app, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.invitations import (
    invite_to_company,
    invite_to_staff,
    plan_invitations,
    withdraw_invitation,
)
from portal.accounts.actions.links import invite as send_invitation
from portal.accounts.actions.links import send_reset
from portal.accounts.actions.roles import change_role
from portal.accounts.actions.second_factor import remove_second_factor
from portal.accounts.models import Company, Person
from portal.accounts.queries import people, sessions_of
from portal.accounts.queries.people import How, PeopleFilters, Who
from portal.accounts.rules import Permission, Role, may
from portal.accounts.rules.browsers import browser_and_system
from portal.accounts.rules.invitations import Outcome, line_of
from portal.admin.forms import RowForm, page_wanted, text_wanted
from portal.admin.people.forms import CompanyNameForm, InviteForm, InviteStaffForm, PersonForm, RoleForm
from portal.admin.people.inviting import Draft, chosen_company, company_refusal, draft_of
from portal.admin.people.words import ROLE_WORDS, allowed_words, permission_rows
from portal.catalogue.queries.lists import company_by_id
from portal.domains.queries import home_of
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.notifications.actions import lift_suppression
from portal.notifications.channels.queries import channels_of
from portal.notifications.choosing import own_words
from portal.notifications.queries import history_of_address, suppression_of, suppressions_of
from portal.services.queries.updates import told_to

blueprint = Blueprint("admin_people", __name__, url_prefix="/admin/people")
access.staff(blueprint, Permission.COMPANIES_READ)

LIST = "/admin/people"

MAILS_SHOWN = timedelta(days=30)
"""How far back a person's page tells of mails."""

SERVICE_MAILS_SHOWN = timedelta(days=90)
"""How far back it tells what they were told of services."""


@blueprint.get("")
def people_list() -> Response:
    """Everybody by name, narrowed by text, kind and standing; all of it stays in the address."""
    filters = PeopleFilters(
        text=text_wanted(),
        who=_choice(Who, "who", Who.ALL),
        how=_choice(How, "how", How.ANY),
        company_id=request.args.get("company", type=int),
    )
    company = company_by_id(filters.company_id) if filters.company_id and filters.company_id < 2**31 else None
    if filters.company_id and company is None:
        abort(404)
    return render(
        "admin/people/people_list.html",
        "admin/people/_people_list.html",
        people=people.people_page(filters, page_wanted(), clock.utcnow()),
        filters=filters,
        company=company,
        role_words=ROLE_WORDS,
        may_edit=_may_edit(),
    )


@blueprint.get("/roles")
def roles() -> Response:
    """The table of rights as it is in force, for people to read."""
    return render(
        "admin/people/roles.html",
        "admin/people/_roles.html",
        rows=permission_rows(),
        roles=list(Role),
        role_words=ROLE_WORDS,
    )


# Inviting.


@blueprint.route("/invite", methods=["GET", "POST"])
def invite() -> Response:
    """Invite people to act for a company: one, or several at once after a look at what will happen."""
    access.require(Permission.COMPANIES_EDIT)
    form, many = InviteForm(), "many" in request.args
    asked = request.args.get("company", type=int)
    if not form.is_submitted():
        given = company_by_id(asked) if asked and 0 < asked < 2**31 else None
        if asked and (given is None or given.archived_at):
            abort(404)
        return _invite_page(form, many=many, company=given)
    if not form.validate():
        return _invite_page(form, 422, many=many)
    company, matches = chosen_company(form)
    if company is None:
        form.refuse(company_refusal(form, matches))
        return _invite_page(form, 422, many=many, matches=matches)
    home = home_of(company.id)
    try:
        draft = draft_of(form, company, many=many)
        if not (draft.is_agreed or (draft.is_plain and not many)) or draft.plan.refused:
            return _invite_page(form, 422 if draft.plan.refused else 200, many=many, company=company, draft=draft)
        invite_to_company(
            draft.plan,
            company,
            language=home.language if home else "en",
            time_zone=home.time_zone if home else "Europe/London",
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _invite_page(form, 422, many=many, company=company_by_id(company.id))
    address, sentence = f"/admin/companies/{company.id}#people", _done(draft)
    events.commit()
    flash(sentence)
    return redirect_to(address)


@blueprint.route("/invite/staff", methods=["GET", "POST"])
def invite_staff() -> Response:
    """Invite people to the staff, all with one role."""
    access.require(Permission.PEOPLE_EDIT)
    access.require_recent_password()
    form, many = InviteStaffForm(), "many" in request.args
    if not form.is_submitted():
        return _invite_page(form, many=many)
    if not form.validate():
        return _invite_page(form, 422, many=many)
    try:
        draft = draft_of(form, None, many=many)
        if not (draft.is_agreed or (draft.is_plain and not many)) or draft.plan.refused:
            return _invite_page(form, 422 if draft.plan.refused else 200, many=many, draft=draft)
        role, zone = Role(form.role.data), access.signed_in().time_zone
        invite_to_staff(draft.plan, role, time_zone=zone, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _invite_page(form, 422, many=many)
    sentence = _done(draft)
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}?who=staff")


# One person.


@blueprint.get("/<int:person_id>")
def person(person_id: int) -> Response:
    """Everything about one person: whom they act for, what they may do, how they sign in, what was mailed to them."""
    return _person_page(_person(person_id))


@blueprint.route("/<int:person_id>/edit", methods=["GET", "POST"])
def edit_person(person_id: int) -> Response:
    """How somebody is addressed: name, language and zone; their address too while they have not signed in with it."""
    access.require(Permission.PEOPLE_EDIT)
    edited = _person(person_id)
    form = PersonForm(obj=edited)
    if not form.validate_on_submit():
        return _edit_page(form, edited, 422 if form.is_submitted() else 200)
    try:
        accounts.change_profile(edited, form.name.data or "", form.language.data, form.time_zone.data, **_row(form))
        if form.email.data and not edited.password_hash:
            row = {**_row(form), "version": edited.version}
            accounts.correct_address(edited, form.email.data, **row)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _edit_page(form, _person(person_id), 422)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{person_id}")


@blueprint.post("/<int:person_id>/role")
def set_role(person_id: int) -> Response:
    """Another staff role, or none. Everything they have open ends."""
    access.require(Permission.PEOPLE_EDIT)
    access.require_recent_password()
    wanted, form = _person(person_id), RoleForm()
    if not form.validate():
        return _person_page(wanted, 422, role_form=form)
    try:
        change_role(wanted, form.wanted, **_row(form))
    except RuleViolation as violation:
        form.refuse(violation)
        return _person_page(wanted, 422, role_form=form)
    sentence = f"{wanted.name}: {ROLE_WORDS[wanted.role][0].lower()} from now on. They sign in anew."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}#role")


@blueprint.post("/<int:person_id>/companies")
def add_company(person_id: int) -> Response:
    """Let the person act for one more company; they are told by mail."""
    access.require(Permission.COMPANIES_EDIT)
    wanted, form = _person(person_id), CompanyNameForm()
    company, matches = chosen_company(form) if form.validate() else (None, ())
    if company is None:
        form.refuse(company_refusal(form, matches))
        return _person_page(wanted, 422, company_form=form, matches=matches)
    try:
        _join(wanted, company)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(RuleViolation(violation.sentence, "company"))
        return _person_page(_person(person_id), 422, company_form=form)
    sentence = f"{wanted.name} acts for {company.name} too."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}#companies")


@blueprint.post("/<int:person_id>/companies/<int:company_id>/remove")
def remove_company(person_id: int, company_id: int) -> Response:
    """The person no longer acts for this company; what they have open for it ends."""
    access.require(Permission.COMPANIES_EDIT)
    leaving = _person(person_id)
    company = next((each.company for each in people.memberships_of(person_id) if each.company_id == company_id), None)
    if company is None:
        abort(404)
    if not RowForm().validate_on_submit():
        abort(422)
    accounts.remove_membership(leaving, company, by=access.actor(), now=clock.utcnow())
    sentence = f"{leaving.name} no longer acts for {company.name}."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}#companies")


@blueprint.post("/<int:person_id>/invitation")
def invite_again(person_id: int) -> Response:
    """Mail the invitation once more; the one before opens nothing any more."""
    return _press(person_id, send_invitation, "{name} is invited. The link is good for seven days.")


@blueprint.post("/<int:person_id>/invitation/withdraw")
def withdraw(person_id: int) -> Response:
    """The invitation opens nothing any more."""
    return _press(person_id, withdraw_invitation, "The invitation of {name} is withdrawn.")


@blueprint.post("/<int:person_id>/reset")
def reset(person_id: int) -> Response:
    """Mail a link for a new password. Nobody here reads or chooses one."""
    return _press(person_id, send_reset, "A link for a new password is on its way to {name}.")


@blueprint.post("/<int:person_id>/second-factor/remove")
def remove_factor(person_id: int) -> Response:
    """Take the second factor away from somebody who has lost it; they are told by mail."""
    access.require(Permission.PEOPLE_EDIT)
    access.require_recent_password()
    return _press(person_id, remove_second_factor, "{name} signs in without a second factor until they set one up.")


@blueprint.post("/<int:person_id>/sessions/end")
def end_sessions(person_id: int) -> Response:
    """Sign the person out everywhere."""
    access.require(Permission.PEOPLE_EDIT)
    wanted = _person(person_id)
    ended = accounts.end_sessions(wanted.id, by=access.actor(), now=clock.utcnow())
    sentence = f"{wanted.name} is signed out of {_counted(ended, 'session')}."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}#sessions")


@blueprint.post("/<int:person_id>/sessions/<int:session_id>/end")
def end_session(person_id: int, session_id: int) -> Response:
    """Sign the person out of one browser."""
    access.require(Permission.PEOPLE_EDIT)
    wanted = people.session_of(_person(person_id).id, session_id) or abort(404)
    accounts.end_session(wanted.id, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("That session has ended.")
    return redirect_to(f"{LIST}/{person_id}#sessions")


@blueprint.post("/<int:person_id>/suppressions/<int:suppression_id>/lift")
def lift(person_id: int, suppression_id: int) -> Response:
    """Let mails reach the person's address again; asked is why they would arrive."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    wanted = _person(person_id)
    suppression = suppression_of(wanted.email, suppression_id) or abort(404)
    lift_suppression(suppression, why=request.form.get("why", "")[:500], by=access.actor(), now=clock.utcnow())
    sentence = f"Mails to {wanted.email} are sent again."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}#mails")


@blueprint.post("/<int:person_id>/deactivate")
def deactivate(person_id: int) -> Response:
    """Shut the person out everywhere at once."""
    access.require(Permission.PEOPLE_EDIT)
    wanted = _person(person_id)
    accounts.deactivate_person(wanted, **_pressed())
    sentence = f"{wanted.name} is signed out everywhere and gets no mail."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}")


@blueprint.post("/<int:person_id>/reactivate")
def reactivate(person_id: int) -> Response:
    """Let the person in again."""
    access.require(Permission.PEOPLE_EDIT)
    wanted = _person(person_id)
    accounts.reactivate_person(wanted, **_pressed())
    sentence = f"{wanted.name} may sign in again."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{person_id}")


def _person(person_id: int) -> Person:
    return people.person_for_staff(person_id) or abort(404)


def _may_edit() -> bool:
    return may(access.signed_in().role, Permission.PEOPLE_EDIT)


def _choice(kind: Any, name: str, default: Any) -> Any:
    """A filter of the address; one that does not exist is none, as an old link may name it."""
    wanted = request.args.get(name, "")
    return kind(wanted) if wanted in set(kind) else default


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _row(form: PersonForm | RoleForm | RowForm) -> dict[str, Any]:
    """What every edit of a row takes: the version it was opened with, who, and when."""
    return {"version": form.version.data or 0, "by": access.actor(), "now": clock.utcnow()}


def _pressed() -> dict[str, Any]:
    """The same for a button that does one thing to a row; 422 when it came without a version."""
    form = RowForm()
    if not form.validate_on_submit():
        abort(422)
    return _row(form)


def _press(person_id: int, action: Any, sentence: str) -> Response:
    """A button of the person's page that does one thing about how they sign in."""
    access.require(Permission.PEOPLE_EDIT)
    wanted = _person(person_id)
    action(wanted, by=access.actor(), now=clock.utcnow())
    said = sentence.format(name=wanted.name)
    events.commit()
    flash(said)
    return redirect_to(f"{LIST}/{person_id}#sign-in")


def _join(wanted: Person, company: Company) -> None:
    """One more company for somebody, by the same way as an invitation, so that they are told of it."""
    plan = plan_invitations([line_of(wanted.name, wanted.email)], company)
    if plan.refused:
        raise RuleViolation(plan.refused[0].why, "company")
    if not plan.to_do:
        raise RuleViolation(plan.rows[0].why, "company")
    invite_to_company(
        plan,
        company,
        language=wanted.language,
        time_zone=wanted.time_zone,
        by=access.actor(),
        now=clock.utcnow(),
    )


def _done(draft: Draft) -> str:
    """What has been done, in one sentence."""
    invited, joined = draft.plan.count(Outcome.INVITED), draft.plan.count(Outcome.JOINS)
    if len(draft.plan.to_do) == 1:
        name = draft.plan.to_do[0].line.name
        return f"{name} is invited." if invited else f"{name} is told by mail that they act for this company too."
    parts = [f"{_counted(invited, 'invitation')} on the way"] if invited else []
    parts += (
        [f"{_counted(joined, 'person').replace('persons', 'people')} told that they act for it too"] if joined else []
    )
    return f"{', '.join(parts)}." if parts else "Nothing was to be done: all of them are here already."


def _browser(user_agent: str) -> str:
    """A browser as its owner would call it, such as "Firefox on Windows"."""
    return " on ".join(word for word in browser_and_system(user_agent) if word) or "A browser"


def _invite_page(form: InviteForm, status: int = 200, **context: Any) -> Response:
    return render(
        "admin/people/invite.html",
        "admin/people/_invite.html",
        status,
        form=form,
        **{"company": None, "matches": (), "draft": None, **context},
        is_staff=isinstance(form, InviteStaffForm),
        role_words=ROLE_WORDS,
        outcomes=Outcome,
    )


def _edit_page(form: PersonForm, edited: Person, status: int) -> Response:
    return render("admin/people/edit.html", "admin/people/_edit.html", status, form=form, person=edited)


def _person_page(
    wanted: Person,
    status: int = 200,
    *,
    role_form: RoleForm | None = None,
    company_form: CompanyNameForm | None = None,
    matches: Any = (),
) -> Response:
    now, role = clock.utcnow(), access.signed_in().role
    may_edit, may_connect = may(role, Permission.PEOPLE_EDIT), may(role, Permission.CHANNELS_EDIT)
    refuses, wants = own_words(wanted.id)
    return render(
        "admin/people/person.html",
        "admin/people/_person.html",
        status,
        person=wanted,
        stand=people.stands_of([wanted], now)[wanted.id],
        invitation=people.invitations_of([wanted.id]).get(wanted.id),
        memberships=people.memberships_of(wanted.id),
        factor=people.second_factor_of(wanted.id),
        sessions=[(each, _browser(each.user_agent)) for each in sessions_of(wanted.id)] if may_edit else (),
        reach=people.reach_of(wanted.id, now),
        mails=history_of_address(wanted.email, now - MAILS_SHOWN),
        service_mails=told_to(wanted.email, now - SERVICE_MAILS_SHOWN),
        suppressions=suppressions_of(wanted.email, now),
        refuses=refuses,
        wants=wants,
        may_choose=may(role, Permission.SUPPRESSIONS_EDIT),
        channels=channels_of(current_app.config["SETTINGS"], person_id=wanted.id) if may_connect else None,
        role_form=role_form or RoleForm(formdata=None, role=wanted.role or "customer", version=wanted.version),
        company_form=company_form or CompanyNameForm(formdata=None),
        matches=matches,
        role_words=ROLE_WORDS,
        allowed=allowed_words,
        may_edit=may_edit,
        may_edit_companies=may(role, Permission.COMPANIES_EDIT),
        may_view_as=may(role, Permission.COMPANIES_VIEW_AS),
        is_self=wanted.id == access.signed_in().person_id,
    )
