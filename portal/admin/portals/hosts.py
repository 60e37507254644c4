"""The names of a portal domain: adding, removing and checking them, and removing the domain itself."""

from datetime import timedelta
from typing import cast

from flask import abort, current_app, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.admin.forms import RowForm
from portal.admin.portals.forms import HostForm
from portal.admin.portals.place import LIST, blueprint, domain_or_404, show
from portal.config import Settings
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.queries.admissions import homes_on, what_hangs_on
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to

ENDS_SOON = timedelta(days=21)
"""From when on the end of a certificate is marked: it should have been renewed by then."""

STALE = "Somebody else changed this portal domain in the meantime. Look again, then send it once more."


@blueprint.get("/<int:domain_id>/hosts")
def hosts(domain_id: int) -> Response:
    """Every name with what asking it found."""
    domain = domain_or_404(domain_id)
    return _hosts(domain, HostForm(formdata=None, version=domain.version))


@blueprint.post("/<int:domain_id>/hosts")
def add_host(domain_id: int) -> Response:
    """A further name; it is asked at once whether it leads here."""
    domain, form = domain_or_404(domain_id), HostForm()
    settings = cast(Settings, current_app.config["SETTINGS"])
    if not form.validate_on_submit():
        return _hosts(domain, form, 422)
    access.require_recent_password()
    by, now = access.actor(), clock.utcnow()
    try:
        added = actions.add_host(
            domain,
            form.host.data or "",
            staff_host=settings.staff_host,
            version=form.version.data or 0,
            by=by,
            now=now,
        )
        actions.want_check(domain, added.id, by=by, now=now)
    except RuleViolation as violation:
        form.refuse(violation)
        return _hosts(domain, form, 422)
    except StaleEdit:
        return _stale(domain_id, form)
    sentence = f"{added.host} leads to {domain.host} from now on, once its DNS name leads to this installation."
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{domain_id}/hosts")


@blueprint.post("/<int:domain_id>/hosts/<int:host_id>/remove")
def remove_host(domain_id: int, host_id: int) -> Response:
    domain, form = domain_or_404(domain_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    access.require_recent_password()
    name = actions.remove_host(domain, host_id, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"{name} is refused from now on.")
    return redirect_to(f"{LIST}/{domain_id}/hosts")


@blueprint.post("/<int:domain_id>/hosts/<int:host_id>/check")
def check_host(domain_id: int, host_id: int) -> Response:
    """Have a name asked; the page shows how it goes."""
    domain = domain_or_404(domain_id)
    actions.want_check(domain, host_id, by=access.actor(), now=clock.utcnow())
    events.commit()
    return redirect_to(f"{LIST}/{domain_id}/hosts")


@blueprint.post("/<int:domain_id>/remove")
def remove_portal(domain_id: int) -> Response:
    """Take the portal domain away, unless it is some company's home."""
    domain, form = domain_or_404(domain_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    access.require_recent_password()
    brand = domain.brand
    actions.remove_domain(domain, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"{brand} is gone. Its addresses are refused from now on.")
    return redirect_to(LIST)


def _hosts(domain: PortalDomain, form: HostForm, status: int = 200) -> Response:
    now = clock.utcnow()
    return show(
        "hosts",
        domain,
        status,
        form=form,
        ends_soon=now + ENDS_SOON,
        homes=homes_on(domain.id, 5),
        hanging=what_hangs_on(domain.id),
    )


def _stale(domain_id: int, form: HostForm) -> Response:
    events.rollback()
    domain = domain_or_404(domain_id)
    form.form_errors.append(STALE)
    form.version.data = domain.version
    return _hosts(domain, form, 409)
