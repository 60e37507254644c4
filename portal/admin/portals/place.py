"""The blueprint of the portal domains' screens, and what stands above each of them."""

from typing import Any

from flask import Blueprint, abort
from werkzeug.wrappers import Response

from portal import access
from portal.accounts.rules import Permission
from portal.domains.models import PortalDomain
from portal.domains.queries import companies_by_domain, domain_by_id
from portal.domains.queries.hosts import hosts_of
from portal.fragments import render

blueprint = Blueprint("admin_portals", __name__, url_prefix="/admin/settings/portals")
access.staff(blueprint, Permission.PORTALS_EDIT)

LIST = "/admin/settings/portals"


def domain_or_404(domain_id: int) -> PortalDomain:
    """The portal domain with this id."""
    return domain_by_id(domain_id) or abort(404)


def show(name: str, domain: PortalDomain, status: int = 200, **context: Any) -> Response:
    """Render one of the domain's screens with the tabs above it."""
    return render(
        f"admin/portals/{name}.html",
        f"admin/portals/_{name}.html",
        status,
        domain=domain,
        admitted=companies_by_domain().get(domain.id, 0),
        hosts=hosts_of(domain),
        **context,
    )
