"""`/api/v1/portals/{id}/hosts`: the names that lead to a portal domain, and whether they do."""

from typing import Any

from flask import current_app
from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Scope
from portal.api.v1.domains.portals import blueprint, portal_or_404
from portal.api.v1.fields import Moment, Text, Word
from portal.api.v1.operations import Answer
from portal.api.v1.requests import Refusal, expected_version
from portal.api.v1.schemas import Shape
from portal.config import Settings
from portal.domains import actions
from portal.domains.models import PortalDomain, PortalHost
from portal.domains.queries.hosts import hosts_of
from portal.domains.rules.hosts import Finding
from portal.errors import NotFound


class HostShape(Shape):
    id = fields.Integer(required=True)
    host = fields.String(required=True)
    is_main = fields.Boolean(required=True, metadata={"description": "Whether links in mails lead there."})
    finding = Word(
        Finding, required=True, allow_none=True, metadata={"description": "What asking it found; null before."}
    )
    detail = fields.String(required=True, allow_none=True)
    checked_at = Moment(required=True, allow_none=True)
    certificate_until = Moment(required=True, allow_none=True)
    created_at = Moment(required=True)


class HostsShape(Shape):
    hosts = fields.List(fields.Nested(HostShape), required=True, metadata={"description": "The main one first."})


class NewHost(Shape):
    host = Text(required=True, least=1, most=253, metadata={"example": "service.example.com"})


@blueprint.reads("/<int:portal_id>/hosts", HostsShape, summary="Read a portal domain’s names")
def read_hosts(portal_id: int) -> Answer:
    return Answer(_shown(portal_or_404(portal_id)))


@blueprint.does(
    "/<int:portal_id>/hosts", HostsShape, body=NewHost, summary="Give a portal domain a further name", of_version=True
)
def add_host(portal_id: int, body: dict[str, Any]) -> Answer:
    """It leads to the main name. The scope `admin` alone: who names a host decides where customers may be sent."""
    _require_admin()
    portal = portal_or_404(portal_id)
    settings: Settings = current_app.config["SETTINGS"]
    actions.add_host(
        portal,
        body["host"],
        staff_host=settings.staff_host,
        version=expected_version(portal.version),
        by=access.actor(),
        now=clock.utcnow(),
    )
    return Answer(_shown(portal))


@blueprint.removes("/<int:portal_id>/hosts/<int:host_id>", summary="Take a further name away", of_version=True)
def remove_host(portal_id: int, host_id: int) -> None:
    """It is refused from the next request on. The main name stays: change the portal domain’s address first."""
    _require_admin()
    portal = portal_or_404(portal_id)
    version = expected_version(portal.version)
    actions.remove_host(portal, host_id, version=version, by=access.actor(), now=clock.utcnow())


@blueprint.does(
    "/<int:portal_id>/hosts/<int:host_id>/check",
    HostShape,
    summary="Ask a name whether it leads here",
    of_version=False,
)
def check_host(portal_id: int, host_id: int) -> Answer:
    """A worker asks it; read the names again in a few seconds."""
    portal = portal_or_404(portal_id)
    actions.want_check(portal, host_id, by=access.actor(), now=clock.utcnow())
    found = next((each for each in hosts_of(portal) if each.id == host_id), None)
    if found is None:
        raise NotFound
    return Answer(_host(portal, found))


def _require_admin() -> None:
    if access.key().scope is not Scope.ADMIN:
        raise Refusal(403, "Which names lead to a portal domain is decided by the scope “admin”.")


def _shown(portal: PortalDomain) -> dict[str, Any]:
    return {"hosts": [_host(portal, each) for each in hosts_of(portal)]}


def _host(portal: PortalDomain, each: PortalHost) -> dict[str, Any]:
    names = ("id", "host", "finding", "detail", "checked_at", "certificate_until", "created_at")
    return {name: getattr(each, name) for name in names} | {"is_main": each.host == portal.host}
