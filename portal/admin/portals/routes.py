"""`/admin/settings/portals`: the portal domains, their brand, and what customers can use on each."""

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import text_wanted
from portal.admin.portals.forms import AreasForm, ExceptionForm, NewPortalForm, PortalForm
from portal.catalogue.queries import lists
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.queries import (
    all_domains,
    companies_by_domain,
    companies_to_except,
    domain_by_id,
    override_counts,
    overrides_on,
)
from portal.domains.rules import AREA_WORDS, BUILT_AREAS, PER_COMPANY, Area
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render, wants_fragment

blueprint = Blueprint("admin_portals", __name__, url_prefix="/admin/settings/portals")
access.staff(blueprint, Permission.PORTALS_EDIT)

LIST = "/admin/settings/portals"
COMPANIES_OFFERED = 8


@blueprint.get("")
def portal_list() -> Response:
    """Every portal domain with what it shows and how many companies it admits."""
    return render(
        "admin/portals/portal_list.html",
        "admin/portals/_portal_list.html",
        portals=all_domains(),
        companies=companies_by_domain(),
        area_words=AREA_WORDS,
        built=BUILT_AREAS,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_portal() -> Response:
    form = NewPortalForm()
    if not form.validate_on_submit():
        return _form(form, None, 422 if form.is_submitted() else 200)
    try:
        added = actions.add_domain(
            form.base_url.data or "",
            form.brand.data or "",
            areas=form.areas,
            by=access.actor(),
            now=clock.utcnow(),
            **form.look,
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _form(form, None, 422)
    address = f"{LIST}/{added.id}"
    events.commit()
    flash("The portal answers on its address from now on. Let companies sign in on it from their own pages.")
    return redirect_to(address)


@blueprint.get("/<int:domain_id>")
def portal(domain_id: int) -> Response:
    """One portal domain: its brand, its switches, and the exceptions from them."""
    return _portal(_domain(domain_id))


@blueprint.route("/<int:domain_id>/edit", methods=["GET", "POST"])
def edit_portal(domain_id: int) -> Response:
    edited = _domain(domain_id)
    form = PortalForm(obj=edited)
    if not form.validate_on_submit():
        return _form(form, edited, 422 if form.is_submitted() else 200)
    try:
        actions.edit_domain(
            edited,
            form.base_url.data or "",
            form.brand.data or "",
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
            **form.look,
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _form(form, edited, 422)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{domain_id}")


@blueprint.post("/<int:domain_id>/areas")
def set_areas(domain_id: int) -> Response:
    """All switches as they should be; what is not built yet stays as it is."""
    domain, form = _domain(domain_id), AreasForm()
    if not form.validate_on_submit():
        abort(422)
    unbuilt = {Area(area) for area in domain.areas}.difference(BUILT_AREAS)
    try:
        actions.set_areas(
            domain, form.areas | unbuilt, version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
        )
    except StaleEdit:
        if not wants_fragment():
            raise
        events.rollback()
        return _portal(
            domain, 409, notice="Somebody else changed the switches in the meantime. They stand like this now."
        )
    events.commit()
    if wants_fragment():
        return _portal(_domain(domain_id))
    flash("Saved. It counts from the next page customers open.")
    return redirect_to(f"{LIST}/{domain_id}")


@blueprint.post("/<int:domain_id>/exceptions")
def set_exception(domain_id: int) -> Response:
    """Open or close an area for one company, or take that exception away."""
    domain, form = _domain(domain_id), ExceptionForm()
    company = lists.company_by_id(form.company_id.data or 0)
    if not form.validate_on_submit() or company is None:
        abort(422)
    is_open = {"yes": True, "no": False}.get(form.is_open.data or "")
    area = Area(form.area.data)
    actions.set_override(domain, company, area, is_open, by=access.actor(), now=clock.utcnow())
    name = AREA_WORDS[area].name
    sentence = (
        f"{name} follows the switch for {company.name} again."
        if is_open is None
        else f"{name} is {'open' if is_open else 'closed'} for {company.name} from now on."
    )
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{domain_id}")


def _domain(domain_id: int) -> PortalDomain:
    return domain_by_id(domain_id) or abort(404)


def _portal(domain: PortalDomain, status: int = 200, notice: str = "") -> Response:
    searched = request.args.get("area", "") if request.method == "GET" else ""
    text = text_wanted() if searched in PER_COMPANY.intersection(BUILT_AREAS) else ""
    exceptions: dict[Area, list[object]] = {area: [] for area in BUILT_AREAS}
    for each in overrides_on(domain.id):
        exceptions.setdefault(Area(each.area), []).append(each)
    form = AreasForm(formdata=None, version=domain.version, **{area: area in domain.areas for area in BUILT_AREAS})
    return render(
        "admin/portals/portal.html",
        "admin/portals/_portal.html",
        status,
        domain=domain,
        form=form,
        notice=notice,
        built=BUILT_AREAS,
        per_company=PER_COMPANY,
        area_words=AREA_WORDS,
        exceptions=exceptions,
        exception_counts=override_counts(domain.id),
        admitted=companies_by_domain().get(domain.id, 0),
        searched=searched,
        text=text,
        offered=companies_to_except(domain.id, Area(searched), text, COMPANIES_OFFERED) if text else (),
    )


def _form(form: NewPortalForm | PortalForm, edited: PortalDomain | None, status: int) -> Response:
    return render(
        "admin/portals/portal_form.html",
        "admin/portals/_portal_form.html",
        status,
        form=form,
        domain=edited,
        area_words=AREA_WORDS,
        built=BUILT_AREAS,
    )
