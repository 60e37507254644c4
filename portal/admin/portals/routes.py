"""`/admin/settings/portals`: the portal domains, where they are reached and how they look."""

from flask import flash, render_template, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.admin.portals import areas, companies, hosts, public_page, services, wording  # noqa: F401 (their routes)
from portal.admin.portals.forms import NewPortalForm, PortalForm, PreviewForm
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.admin.portals.preview import Preview, preview_of
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.queries import all_domains, companies_by_domain
from portal.domains.rules import AREA_WORDS, BUILT_AREAS, normal_address
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render

__all__ = ["blueprint"]

STALE = "Somebody else saved this portal domain in the meantime. Yours stands below; save again to put it over theirs."


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


@blueprint.get("/preview")
def preview() -> str:
    """The sign-in page of a portal domain as the form has it so far."""
    return render_template("admin/portals/_preview.html", preview=_preview(PreviewForm(request.args)))


@blueprint.route("/new", methods=["GET", "POST"])
def new_portal() -> Response:
    form = NewPortalForm()
    if not form.validate_on_submit():
        return _new(form, 422 if form.is_submitted() else 200)
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
        return _new(form, 422)
    address = f"{LIST}/{added.id}"
    events.commit()
    flash("Added. Check under Host names that its address leads here, and under Companies let companies sign in.")
    return redirect_to(address)


@blueprint.route("/<int:domain_id>/edit", methods=["GET", "POST"])
def edit_portal(domain_id: int) -> Response:
    edited = domain_or_404(domain_id)
    form = PortalForm(obj=edited)
    if not form.validate_on_submit():
        return _edit(edited, form, 422 if form.is_submitted() else 200)
    old_host = edited.host
    wanted = normal_address(form.base_url.data or "")
    if wanted and wanted.host != old_host:
        # Where customers type their passwords is not for whoever finds an open browser to change.
        access.require_recent_password()
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
        return _edit(edited, form, 422)
    except StaleEdit:
        events.rollback()
        newer = domain_or_404(domain_id)
        form.form_errors.append(STALE)
        form.version.data = newer.version
        return _edit(newer, form, 409)
    has_moved = edited.host != old_host
    events.commit()
    flash(f"Saved. {old_host} leads to the new address." if has_moved else "Saved.")
    return redirect_to(f"{LIST}/{domain_id}")


def _new(form: NewPortalForm, status: int) -> Response:
    return render(
        "admin/portals/new.html",
        "admin/portals/_new.html",
        status,
        form=form,
        preview=_preview(form),
        area_words=AREA_WORDS,
        built=BUILT_AREAS,
    )


def _edit(edited: PortalDomain, form: PortalForm, status: int) -> Response:
    return show("edit", edited, status, form=form, preview=_preview(form))


def _preview(form: NewPortalForm | PortalForm | PreviewForm) -> Preview:
    return preview_of(
        base_url=form.base_url.data or "",
        brand=form.brand.data or "",
        tagline=form.tagline.data or "",
        accent=form.accent.data or "",
        language=form.language.data or "",
        channels=form.channels,
    )
