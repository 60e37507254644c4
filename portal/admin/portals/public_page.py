"""The public page of a portal domain: what it says, and how it gets onto other pages and into other programs."""

from flask import flash
from werkzeug.wrappers import Response
from wtforms import BooleanField

from portal import access, clock, events
from portal.admin.forms import VersionedForm
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.errors import StaleEdit
from portal.fragments import redirect_to

STALE = (
    "Somebody else changed this portal domain in the meantime. Yours stands below; save again to put it over theirs."
)


class PublicPageForm(VersionedForm):
    """The switches of the public page."""

    is_indexed = BooleanField("Search engines may list it")
    says_maintenance = BooleanField("Machines are told “maintenance” while nothing but planned work is under way")
    shows_global_services = BooleanField("It says how services are that every company has")
    rooms_sign_up = BooleanField("Rooms of Slack and Teams may be signed up on it")


@blueprint.get("/<int:domain_id>/public-page")
def public_page(domain_id: int) -> Response:
    """The switches, and what other sites and programs take."""
    domain = domain_or_404(domain_id)
    return _show(domain, PublicPageForm(formdata=None, obj=domain))


@blueprint.post("/<int:domain_id>/public-page")
def set_public_page(domain_id: int) -> Response:
    domain, form = domain_or_404(domain_id), PublicPageForm()
    if not form.validate_on_submit():
        return _show(domain, form, 422)
    try:
        actions.set_public_page(
            domain,
            is_indexed=form.is_indexed.data,
            says_maintenance=form.says_maintenance.data,
            shows_global_services=form.shows_global_services.data,
            rooms_sign_up=form.rooms_sign_up.data,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except StaleEdit:
        events.rollback()
        domain = domain_or_404(domain_id)
        form.form_errors.append(STALE)
        form.version.data = domain.version
        return _show(domain, form, 409)
    events.commit()
    flash("Saved. It counts from the next look at the page.")
    return redirect_to(f"{LIST}/{domain_id}/public-page")


def _show(domain: PortalDomain, form: PublicPageForm, status: int = 200) -> Response:
    base = domain.base_url
    return show(
        "public_page",
        domain,
        status,
        form=form,
        is_open=Area.PUBLIC_STATUS in domain.areas,
        banner=f'<script src="{base}/status/embed.js" async></script>',
        badge=f'<a href="{base}/status"><img src="{base}/status/badge.svg" alt="Status"></a>',
        addresses=[
            ("Feed (Atom)", f"{base}/status/feed.atom"),
            ("Calendar of maintenance (iCalendar)", f"{base}/status/maintenance.ics"),
            ("Badge", f"{base}/status/badge.svg"),
            ("JSON in the shape of Statuspage", f"{base}/api/v2/summary.json"),
        ],
    )
