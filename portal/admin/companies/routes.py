"""`/admin/companies`: the customers, their people, what they hold, and where they sign in."""

from collections.abc import Sequence
from typing import Any, cast

from flask import Blueprint, abort, current_app, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.view_as import hand_over
from portal.accounts.models import Company
from portal.accounts.queries import person_by_id
from portal.accounts.queries.people import stands_of
from portal.accounts.queries.tags import tags_by_company
from portal.accounts.rules import Permission, may
from portal.admin.alerts.words import RIGHTS
from portal.admin.companies.forms import (
    AdmissionForm,
    CompanyForm,
    ExceptionForm,
    HoldingForm,
    NewCompanyForm,
    NewHoldingForm,
    ViewAsForm,
)
from portal.admin.forms import RowForm, choices_of, page_wanted, text_wanted
from portal.alerts.queries import alerts_at_a_glance, rights_of
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding
from portal.catalogue.queries import component_choices, lists
from portal.catalogue.queries.unreached import nobody_reached_among, why_unreached
from portal.config import Settings
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.queries import admissions_of, all_domains, domain_by_id, overrides_of
from portal.domains.rules import AREA_WORDS, Area, normal_host
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.headers import let_forms_lead_to
from portal.incidents.queries.calendars import address_of
from portal.incidents.queries.maintenance import freezes_of
from portal.incidents.queries.planning import requests_of_company
from portal.notifications.channels.queries import channels_of
from portal.notifications.wishes import contacts_of, unwanted_by_company
from portal.services.queries import service_lines
from portal.services.queries.settings import EVERYTHING

blueprint = Blueprint("admin_companies", __name__, url_prefix="/admin/companies")
access.staff(blueprint, Permission.COMPANIES_READ)

LIST = "/admin/companies"


@blueprint.get("")
def company_list() -> Response:
    """Companies by name, narrowed by name, by a person's address, by portal domain."""
    filters = lists.CompanyFilters(
        text=text_wanted(),
        domain_id=request.args.get("portal", type=int),
        is_archived=request.args.get("show") == "archived",
        is_unreached=request.args.get("show") == "unreached",
    )
    return render(
        "admin/companies/company_list.html",
        "admin/companies/_company_list.html",
        companies=lists.companies_page(filters, page_wanted(), clock.utcnow()),
        filters=filters,
        portals=all_domains(),
        may_edit=may(access.signed_in().role, Permission.COMPANIES_EDIT),
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_company() -> Response:
    access.require(Permission.COMPANIES_EDIT)
    form = NewCompanyForm()
    portals = all_domains()
    form.home_id.choices = choices_of(
        [*((each.id, f"{each.brand} ({each.host})") for each in portals), ("", "None yet")]
    )
    if not form.validate_on_submit():
        return _company_form(form, None, 422 if form.is_submitted() else 200)
    by, now = access.actor(), clock.utcnow()
    home = next((each for each in portals if each.id == form.home_id.data), None)
    try:
        added = catalogue.add_company(form.name.data or "", by=by, now=now)
        accounts.tag_company(added, [form.tags.data or ""], version=added.version, by=by, now=now)
        if home:
            domains.admit(added, home, is_home=True, by=by, now=now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _company_form(form, None, 422)
    address = f"{LIST}/{added.id}"
    events.commit()
    flash("Added. Say below who its people are and what it holds.")
    return redirect_to(address)


@blueprint.get("/<int:company_id>")
def company(company_id: int) -> Response:
    """One company: its people, what it holds, where it signs in, and what is different for it there."""
    wanted, now = _company(company_id), clock.utcnow()
    role = access.signed_in().role
    may_connect = may(role, Permission.CHANNELS_EDIT)
    # Two lists stand on this page; `list` says which of them the page number is of.
    page, is_of_holdings = page_wanted(), request.args.get("list") == "holdings"
    holdings = lists.holdings_page(company_id, page if is_of_holdings else 1, now)
    shown_people = lists.people_page(company_id, 1 if is_of_holdings else page)
    ids = [each.id for each in shown_people.items]
    admissions = admissions_of(company_id)
    admitted = {each.domain_id for each in admissions}
    # As staff know it: also what the company itself is not shown.
    lines = service_lines(company_id, now, view=EVERYTHING) if holdings.items else []
    return render(
        "admin/companies/company.html",
        "admin/companies/_company.html",
        company=wanted,
        shows_holdings=is_of_holdings,
        tags=tags_by_company([company_id]).get(company_id, []),
        people=shown_people,
        stands=stands_of(shown_people.items, now),
        is_unreached=wanted.archived_at is None and bool(nobody_reached_among([company_id], now)),
        why_unreached=why_unreached(company_id, ids, now),
        contacts=contacts_of(company_id, ids),
        unwanted=unwanted_by_company(company_id),
        may_choose=may(role, Permission.SUPPRESSIONS_EDIT),
        holdings=holdings,
        own=lists.own_components_by_holding([each.id for each in holdings.items], now),
        status_lines={line.holding_id: line for line in lines},
        may_set=may(role, Permission.SERVICES_SET),
        admissions=admissions,
        other_portals=[each for each in all_domains() if each.id not in admitted],
        exceptions=overrides_of(company_id),
        channels=channels_of(current_app.config["SETTINGS"], company_id=company_id) if may_connect else None,
        calendar=address_of(company_id),
        freezes=freezes_of(company_id, now),
        slot_requests=requests_of_company(company_id),
        may_answer=may(role, Permission.INCIDENTS_PUBLISH),
        area_words=AREA_WORDS,
        may_edit=may(role, Permission.COMPANIES_EDIT),
        may_hold=may(role, Permission.CATALOGUE_EDIT),
        may_view_as=may(role, Permission.COMPANIES_VIEW_AS),
        alerts=alerts_at_a_glance(company_id),
        alert_rights=RIGHTS[rights_of(company_id)],
        may_alert=may(role, Permission.ALERTS_EDIT),
    )


@blueprint.route("/<int:company_id>/edit", methods=["GET", "POST"])
def edit_company(company_id: int) -> Response:
    access.require(Permission.COMPANIES_EDIT)
    edited = _company(company_id)
    form = CompanyForm(obj=edited, tags=", ".join(tags_by_company([company_id]).get(company_id, [])))
    if not form.validate_on_submit():
        return _company_form(form, edited, 422 if form.is_submitted() else 200)
    try:
        row = _row(form)
        accounts.rename_company(edited, form.name.data or "", **row)
        accounts.tag_company(edited, [form.tags.data or ""], **row | {"version": edited.version})
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _company_form(form, _company(company_id), 422)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{company_id}")


@blueprint.post("/<int:company_id>/archive")
def archive_company(company_id: int) -> Response:
    access.require(Permission.COMPANIES_EDIT)
    wanted = _company(company_id)
    catalogue.archive_company(wanted, **_pressed())
    name = wanted.name
    events.commit()
    flash(f"{name} is archived. Its people are signed out and its history stays.")
    return redirect_to(LIST)


@blueprint.post("/<int:company_id>/restore")
def restore_company(company_id: int) -> Response:
    access.require(Permission.COMPANIES_EDIT)
    catalogue.restore_company(_company(company_id), **_pressed())
    events.commit()
    flash("Back among the companies. It holds what every company holds, and nothing else yet.")
    return redirect_to(f"{LIST}/{company_id}")


# Through its eyes.


@blueprint.route("/<int:company_id>/view-as", methods=["GET", "POST"])
def view_as(company_id: int) -> Response:
    """Choose the portal to look at as this company, and go there. What is seen there can only be looked at."""
    access.require(Permission.COMPANIES_VIEW_AS)
    wanted, settings = _company(company_id), cast(Settings, current_app.config["SETTINGS"])
    # On the staff host itself the look would take the place of the session it is opened from.
    portals = [
        each.domain for each in admissions_of(company_id) if each.domain.host != normal_host(settings.staff_host)
    ]
    let_forms_lead_to(*(each.base_url for each in portals))
    form = ViewAsForm(domain_id=portals[0].id if portals else None)
    form.domain_id.choices = choices_of((each.id, f"{each.brand} ({each.host})") for each in portals)
    chosen = next((each for each in portals if each.id == form.domain_id.data), None)
    if not form.validate_on_submit() or chosen is None:
        return _view_as_page(form, wanted, portals, 422 if form.is_submitted() else 200)
    try:
        token = hand_over(
            person_by_id(access.signed_in().person_id) or abort(404),
            access.signed_in().session_id,
            wanted,
            chosen.host,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _view_as_page(form, wanted, portals, 422)
    address = f"{chosen.base_url}/view-as/{token}"
    events.commit()
    return redirect_to(address)


# What it holds.


@blueprint.route("/<int:company_id>/holdings/new", methods=["GET", "POST"])
def new_holding(company_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    wanted, form = _company(company_id), NewHoldingForm()
    form.service_id.choices = choices_of(
        [("", "Choose a service"), *((each.id, each.name) for each in lists.all_services())]
    )
    if not form.validate_on_submit():
        return _holding_form(form, wanted, None, 422 if form.is_submitted() else 200)
    service = lists.service_by_id(form.service_id.data)
    try:
        if service is None:
            raise RuleViolation("That service no longer exists. Choose another.", "service_id")
        catalogue.add_holding(
            wanted,
            service,
            reference=form.reference.data or "",
            component_ids=form.component_ids.data or (),
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _holding_form(form, wanted, None, 422)
    sentence = f"{wanted.name} holds {service.name} from now on."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{company_id}#holdings")


@blueprint.route("/<int:company_id>/holdings/<int:holding_id>", methods=["GET", "POST"])
def holding(company_id: int, holding_id: int) -> Response:
    """The reference of a holding and what it depends on by itself, and how to end it."""
    access.require(Permission.CATALOGUE_EDIT)
    edited, now = _holding(company_id, holding_id), clock.utcnow()
    own = [each.id for each in lists.own_components_by_holding([holding_id], now).get(holding_id, [])]
    form = HoldingForm(obj=edited, component_ids=own)
    if not form.validate_on_submit():
        return _holding_form(form, edited.company, edited, 422 if form.is_submitted() else 200)
    try:
        catalogue.edit_holding(
            edited,
            edited.service,
            reference=form.reference.data or "",
            component_ids=form.component_ids.data or (),
            **_row(form),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _holding_form(form, edited.company, edited, 422)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{company_id}#holdings")


@blueprint.post("/<int:company_id>/holdings/<int:holding_id>/end")
def end_holding(company_id: int, holding_id: int) -> Response:
    access.require(Permission.CATALOGUE_EDIT)
    ending = _holding(company_id, holding_id)
    sentence = f"{ending.company.name} no longer holds {ending.service.name}."
    catalogue.end_holding(ending, **_pressed())
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{company_id}#holdings")


# Where it signs in.


@blueprint.post("/<int:company_id>/portals")
def admit(company_id: int) -> Response:
    """The company may sign in on this portal domain, or has its home there from now on."""
    access.require(Permission.COMPANIES_EDIT)
    wanted, form = _company(company_id), AdmissionForm()
    if not form.validate_on_submit():
        abort(422)
    domain = _domain(form.domain_id.data)
    domains.admit(wanted, domain, is_home=bool(form.is_home.data), by=access.actor(), now=clock.utcnow())
    sentence = f"Its home is {domain.host} now." if form.is_home.data else f"It may sign in on {domain.host} too."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{company_id}#portals")


@blueprint.post("/<int:company_id>/portals/dismiss")
def dismiss(company_id: int) -> Response:
    """The company may no longer sign in on this portal domain."""
    access.require(Permission.COMPANIES_EDIT)
    wanted, form = _company(company_id), AdmissionForm()
    if not form.validate_on_submit():
        abort(422)
    domain = _domain(form.domain_id.data)
    domains.dismiss(wanted, domain, by=access.actor(), now=clock.utcnow())
    sentence = f"It no longer signs in on {domain.host}."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{company_id}#portals")


@blueprint.post("/<int:company_id>/exceptions/remove")
def remove_exception(company_id: int) -> Response:
    """The switch of the portal domain counts for this company again."""
    access.require(Permission.PORTALS_EDIT)
    wanted, form = _company(company_id), ExceptionForm()
    if not form.validate_on_submit() or form.area.data not in set(Area):
        abort(422)
    domain = _domain(form.domain_id.data)
    domains.set_override(domain, wanted, Area(form.area.data), None, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("The exception is gone.")
    return redirect_to(f"{LIST}/{company_id}#portals")


def _company(company_id: int) -> Company:
    return lists.company_by_id(company_id) or abort(404)


def _holding(company_id: int, holding_id: int) -> Holding:
    found = lists.holding_by_id(holding_id)
    if found is None or found.company_id != company_id or found.valid_to is not None:
        abort(404)
    return found


def _domain(domain_id: int | None) -> PortalDomain:
    return domain_by_id(domain_id or 0) or abort(404)


def _row(form: CompanyForm | HoldingForm | RowForm) -> dict[str, Any]:
    """What every edit of a row takes: the version it was opened with, who, and when."""
    return {"version": form.version.data or 0, "by": access.actor(), "now": clock.utcnow()}


def _pressed() -> dict[str, Any]:
    """The same for a button that does one thing to a row; 422 when it came without a version."""
    form = RowForm()
    if not form.validate_on_submit():
        abort(422)
    return _row(form)


def _company_form(form: NewCompanyForm | CompanyForm, edited: Company | None, status: int) -> Response:
    return render(
        "admin/companies/company_form.html", "admin/companies/_company_form.html", status, form=form, company=edited
    )


def _view_as_page(form: ViewAsForm, wanted: Company, portals: Sequence[PortalDomain], status: int) -> Response:
    return render(
        "admin/companies/view_as.html",
        "admin/companies/_view_as.html",
        status,
        form=form,
        company=wanted,
        portals=portals,
    )


def _holding_form(form: NewHoldingForm | HoldingForm, wanted: Company, edited: Holding | None, status: int) -> Response:
    form.component_ids.choices = choices_of((each, title) for each, title, _group in component_choices())
    return render(
        "admin/companies/holding_form.html",
        "admin/companies/_holding_form.html",
        status,
        form=form,
        company=wanted,
        holding=edited,
    )
