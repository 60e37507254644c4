"""What customers can use on a portal domain: the switches, and the exceptions that stand under them."""

from typing import Any

from flask import abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.portals.forms import AreasForm, ExceptionForm
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.admin.portals.preview import preview_of_domain
from portal.catalogue.queries import lists
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.queries import companies_by_domain, override_counts, overrides_on
from portal.domains.queries.admissions import affected, exceptions_page, outcomes
from portal.domains.rules import AREA_WORDS, BUILT_AREAS, PER_COMPANY, Area
from portal.errors import StaleEdit
from portal.fragments import redirect_to, wants_fragment
from portal.language import LANGUAGES

COMPANIES_OFFERED = 8
EXCEPTIONS_SHOWN = 8
CHOICE: dict[str, bool | None] = {"yes": True, "no": False, "": None}
STALE = "Somebody else changed the {} in the meantime. They stand like this now."


@blueprint.get("/<int:domain_id>")
def portal(domain_id: int) -> Response:
    """One portal domain: its brand, its switches, and the exceptions from them."""
    searched = request.args.get("area", "")
    return _portal(domain_or_404(domain_id), searched=searched, text=text_wanted())


@blueprint.post("/<int:domain_id>/areas")
def set_areas(domain_id: int) -> Response:
    """All switches as they should be; what is not built yet stays as it is."""
    domain, form = domain_or_404(domain_id), AreasForm()
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
        return _portal(domain_or_404(domain_id), 409, notice=STALE.format("switches"))
    events.commit()
    if wants_fragment():
        return _portal(domain_or_404(domain_id))
    flash("Saved. It counts from the next page customers open.")
    return redirect_to(f"{LIST}/{domain_id}")


@blueprint.get("/<int:domain_id>/exceptions/<area>")
def exceptions(domain_id: int, area: str) -> Response:
    """Every company that is different in one area, by name, searched and page by page."""
    domain = domain_or_404(domain_id)
    if area not in PER_COMPANY.intersection(BUILT_AREAS):
        abort(404)
    wanted = Area(area)
    listed = exceptions_page(domain, wanted, text_wanted(), page_wanted()) or abort(404)
    return show("exceptions", domain, area=wanted, listed=listed, text=text_wanted(), words=AREA_WORDS[wanted])


@blueprint.post("/<int:domain_id>/exceptions")
def set_exception(domain_id: int) -> Response:
    """Open or close an area for one company, or take that exception away."""
    domain, form = domain_or_404(domain_id), ExceptionForm()
    company = lists.company_by_id(form.company_id.data or 0)
    if not form.validate_on_submit() or company is None:
        abort(422)
    is_open, area = CHOICE[form.is_open.data or ""], Area(form.area.data)
    was = {} if form.was.data == "any" else {"was": CHOICE[form.was.data or ""]}
    back: dict[str, Any] = {"searched": area.value, "text": (form.q.data or "")[:200].strip()}
    try:
        actions.set_override(domain, company, area, is_open, by=access.actor(), now=clock.utcnow(), **was)
    except StaleEdit:
        if not wants_fragment():
            raise
        events.rollback()
        return _portal(domain_or_404(domain_id), 409, notice=STALE.format("exceptions"), **back)
    name = AREA_WORDS[area].name
    sentence = (
        f"{name} follows the switch for {company.name} again."
        if is_open is None
        else f"{name} is {'open' if is_open else 'closed'} for {company.name} from now on."
    )
    events.commit()
    if wants_fragment():
        return _portal(domain_or_404(domain_id), notice=sentence, **back)
    flash(sentence)
    return redirect_to(f"{LIST}/{domain_id}#area-{area}")


def _portal(
    domain: PortalDomain, status: int = 200, *, notice: str = "", searched: str = "", text: str = ""
) -> Response:
    is_searched = bool(text) and searched in PER_COMPANY.intersection(BUILT_AREAS)
    found: dict[Area, list[object]] = {area: [] for area in BUILT_AREAS}
    for each in overrides_on(domain.id, EXCEPTIONS_SHOWN):
        found.setdefault(Area(each.area), []).append(each)
    form = AreasForm(formdata=None, version=domain.version, **{area: area in domain.areas for area in BUILT_AREAS})
    return show(
        "portal",
        domain,
        status,
        form=form,
        notice=notice,
        preview=preview_of_domain(domain),
        built=BUILT_AREAS,
        languages=LANGUAGES,
        to_come=[AREA_WORDS[area].name for area in Area if area not in BUILT_AREAS],
        per_company=PER_COMPANY,
        area_words=AREA_WORDS,
        affected=affected(domain, companies_by_domain().get(domain.id, 0)),
        exceptions=found,
        exception_counts=override_counts(domain.id),
        searched=searched,
        text=text if is_searched else "",
        offered=outcomes(domain, Area(searched), text, COMPANIES_OFFERED) if is_searched else (),
    )
