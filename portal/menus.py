"""What menus may show: an entry leads only where there are screens and whoever looks would be let in."""

from flask import Flask, current_app, request, url_for
from werkzeug.routing import Rule

from portal import access
from portal.access import Audience
from portal.accounts.rules import may
from portal.domains.rules import Area


def init_app(app: Flask) -> None:
    """Give templates `address_in_menu` and `is_here`."""
    app.jinja_env.globals.update(address_in_menu=address_in_menu, is_here=is_here)


def address_in_menu(target: str, *areas: str) -> str | None:
    """Where an entry leads: `target` is an endpoint, or a blueprint, which stands for its first page.

    None where there is no such screen (yet), or the viewer would be refused. Where a blueprint decides by itself
    who may read it, `areas` names the access areas of which one must be open.
    """
    endpoint = target if "." in target else _entrance(target)
    if endpoint is None or endpoint not in current_app.view_functions or not _lets_in(endpoint):
        return None
    if areas and not access.areas() & {Area(area) for area in areas}:
        return None
    return url_for(endpoint)


PART_OF = {
    "admin_alert_forms": "admin_alerts",
    "admin_alert_rights": "admin_companies",
    "admin_alert_templates": "admin_alerts",
    "admin_notices": "admin_broadcasts",
    "admin_quote_answers": "admin_quotes",
    "admin_incident_drafts": "admin_incidents",
    "admin_incident_templates": "admin_incidents",
    "admin_past_incidents": "admin_incidents",
    "customer_alert_forms": "customer_alerts",
    "customer_availability": "customer_services",
    "customer_calls": "customer_figures",
}
"""Screens that have no entry of their own, with the entry they belong to."""


def is_here(*targets: str) -> bool:
    """Whether the page being shown belongs to one of these entries."""
    place = request.blueprint or ""
    return request.endpoint in targets or place in targets or PART_OF.get(place) in targets


def _entrance(blueprint: str) -> str | None:
    """The endpoint of the blueprint's shortest address that needs no arguments."""
    entrances: dict[str, str] = current_app.extensions.setdefault("entrances", {})
    if not entrances:
        pages = [rule for rule in current_app.url_map.iter_rules() if not rule.arguments and _is_page(rule)]
        for rule in sorted(pages, key=lambda rule: len(rule.rule), reverse=True):
            entrances[rule.endpoint.rpartition(".")[0]] = rule.endpoint
    return entrances.get(blueprint)


def _is_page(rule: Rule) -> bool:
    return "GET" in (rule.methods or ())


def _lets_in(endpoint: str) -> bool:
    declaration = access.declaration_of(endpoint)
    if declaration is None:
        return False
    person = access.viewer()
    if declaration.audience is Audience.STAFF:
        return person is not None and (declaration.permission is None or may(person.role, declaration.permission))
    if declaration.audience is Audience.CUSTOMERS and (person is None or person.company_id is None):
        return False
    if declaration.one_of and not declaration.one_of & access.areas():
        return False
    return declaration.area is None or declaration.area in access.areas()
