"""Who gets in where: hosts, sessions, and the declared audience of every blueprint.

A blueprint says once who it is for (`staff`, `customers`, `anyone`, `machines`); its guard runs before every
view of it. A route without a declared audience is refused, and a test walks the URL map for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, cast

from flask import Blueprint, Flask, abort, current_app, g, request
from flask_login import current_user
from sqlalchemy.exc import OperationalError
from werkzeug.routing import IntegerConverter, Map
from werkzeug.wrappers import Response

from portal import clock, events
from portal.accounts import actions as account_actions
from portal.accounts.queries import Viewer, viewer_by_token
from portal.accounts.rules import SIGNED_OUT, STAFF, Permission, Viewpoint, may
from portal.audit.rules import Actor
from portal.config import Settings
from portal.database import read_only
from portal.domains.models import PortalDomain
from portal.domains.queries import domain_by_host, is_admitted, open_areas, status_is_open_to_somebody
from portal.domains.rules import Area, normal_host
from portal.errors import to_sign_in
from portal.extensions import db, login_manager

SEEN_EVERY = timedelta(minutes=1)


class RowId(IntegerConverter):
    """An id in a path: beyond what a row can have there is no such address, rather than an error of the database."""

    def __init__(self, url_map: Map, max: int = 2**31 - 1, **options: Any) -> None:
        super().__init__(url_map, max=max, **options)


class Audience(StrEnum):
    """Who a blueprint is for."""

    STAFF = "staff"
    CUSTOMERS = "customers"
    ANYONE = "anyone"
    MACHINES = "machines"


@dataclass(frozen=True)
class Declaration:
    """Who may come in, and of the areas the one, or one of those, that must be open to them."""

    audience: Audience
    permission: Permission | None = None
    area: Area | None = None
    one_of: frozenset[Area] = frozenset()


_declared: dict[str, Declaration] = {}


def staff(blueprint: Blueprint, permission: Permission) -> None:
    """Staff with this permission, on the staff host only."""
    _declare(blueprint, Declaration(Audience.STAFF, permission=permission), _staff_guard)


def customers(blueprint: Blueprint, area: Area | None = None) -> None:
    """People signed in for a company on a portal domain that admits it, while the area is open for them."""
    _declare(blueprint, Declaration(Audience.CUSTOMERS, area=area), _customer_guard)


def anyone(blueprint: Blueprint, area: Area | None = None) -> None:
    """Everybody, signed in or not; with an area, on portal domains where it is open."""
    _declare(blueprint, Declaration(Audience.ANYONE, area=area), _anyone_guard)


def machines(blueprint: Blueprint) -> None:
    """Health checks and the like: any host, no session, nothing private in the answer."""
    _declare(blueprint, Declaration(Audience.MACHINES), lambda _declaration: None)


def status_readers(blueprint: Blueprint) -> None:
    """Whoever may read the status pages, on portal domains; each view is told through whose eyes by `status_viewpoint`.

    Signed in with Status open: through the eyes of that company. Else, where Public status is open: signed out.
    Else whom signing in may help is sent to sign in, and for everybody else there is nothing here.
    """
    areas = frozenset({Area.STATUS, Area.PUBLIC_STATUS})
    _declare(blueprint, Declaration(Audience.ANYONE, one_of=areas), _status_guard)


def status_viewpoint() -> Viewpoint:
    """Through whose eyes the status pages are shown, in a view whose guard is that of `status_readers`.

    Never that of staff, not even on a host that is both theirs and a portal domain.
    """
    return cast(Viewpoint, g.status_viewpoint)


def declaration_of(endpoint: str) -> Declaration | None:
    """What was declared for the blueprint of this endpoint; static files are for anyone."""
    if endpoint.startswith("assets."):
        return Declaration(Audience.ANYONE)
    return _declared.get(endpoint.rpartition(".")[0])


def viewer() -> Viewer | None:
    """Who is signed in, if anybody."""
    return cast(Viewer, current_user._get_current_object()) if current_user.is_authenticated else None


def signed_in() -> Viewer:
    """Who is signed in, in a view whose guard has seen to it that somebody is."""
    found = viewer()
    if found is None:
        raise LookupError("nobody is signed in: the guard of this blueprint lets such requests through")
    return found


def portal() -> PortalDomain:
    """The portal domain that was asked; 404 on the staff host when that is none."""
    if g.portal is None:
        abort(404)
    return cast(PortalDomain, g.portal)


def areas() -> frozenset[Area]:
    """The areas open to the viewer on this portal domain, read once a request."""
    if "areas" not in g:
        person = viewer()
        g.areas = open_areas(portal(), person.company_id if person else None) if g.portal else frozenset()
    return cast(frozenset[Area], g.areas)


def require_area(area: Area) -> None:
    """404 unless the area is open to the viewer."""
    if area not in areas():
        abort(404)


def require(permission: Permission) -> None:
    """403 unless the signed-in staff member may do this."""
    if not may(signed_in().role, permission):
        abort(403)


def viewpoint() -> Viewpoint:
    """The viewpoint of whoever asks, for queries."""
    person = viewer()
    if person and person.is_staff and g.on_staff_host:
        return STAFF
    return Viewpoint(company_id=person.company_id if person else None)


def actor() -> Actor:
    """The signed-in person as the audit trail names them."""
    person = viewer()
    if person is None:
        return Actor("anonymous", ip=request.remote_addr, request_id=g.request_id)
    return Actor(person.email, person.person_id, request.remote_addr, g.request_id)


def cookie_name() -> str:
    settings = cast(Settings, current_app.config["SETTINGS"])
    return "__Host-sid" if settings.is_https else "sid"


def is_background() -> bool:
    """Whether the page asks by itself (a live refresh or a poll): that never keeps a session alive."""
    return request.headers.get("X-Background") == "1"


def init_app(app: Flask) -> None:
    app.url_map.converters["int"] = RowId
    login_manager.init_app(app)
    # It looks into the session of every request for a cookie we never set, and so adds Vary: Cookie to all answers.
    app.after_request_funcs[None].remove(login_manager._update_remember_cookie)
    login_manager.session_protection = None
    login_manager.request_loader(_load_viewer)
    app.before_request(_open_transaction_kind)
    app.before_request(_find_host)
    app.before_request(_refuse_undeclared)
    app.before_request(_refuse_nul)
    app.after_request(_note_seen)


def _declare(blueprint: Blueprint, declaration: Declaration, guard: Callable[[Declaration], Any]) -> None:
    _declared[blueprint.name] = declaration

    def run_guard() -> Response | None:
        return cast(Response | None, guard(declaration))

    blueprint.before_request(run_guard)


def _open_transaction_kind() -> None:
    read_only.set(request.method in {"GET", "HEAD", "OPTIONS"})


def _find_host() -> None:
    settings = cast(Settings, current_app.config["SETTINGS"])
    host = normal_host(request.host)
    g.host = host
    g.on_staff_host = host == normal_host(settings.staff_host)
    g.portal = None
    declaration = declaration_of(request.endpoint) if request.endpoint else None
    if declaration and declaration.audience is Audience.MACHINES:
        return
    if not host:
        abort(400)
    if request.endpoint == "assets.asset":
        return
    g.portal = domain_by_host(host)
    if g.portal is not None:
        # Whatever becomes of the transaction, the answer still knows its brand without asking again.
        db.session.expunge(g.portal)
    elif not g.on_staff_host:
        abort(400)


def _refuse_undeclared() -> None:
    if request.endpoint and declaration_of(request.endpoint) is None:
        abort(404)


def _refuse_nul() -> None:
    """No keyboard types a NUL, PostgreSQL stores none, and SQLite would store it silently."""
    fields = (*request.args.listvalues(), *request.form.listvalues())
    if "\x00" in request.path or any("\x00" in value for values in fields for value in values):
        abort(400)


def _load_viewer(_request: object) -> Viewer | None:
    token = request.cookies.get(cookie_name())
    if not token or not getattr(g, "host", ""):
        return None
    return viewer_by_token(account_actions.token_hash(token), g.host, clock.utcnow())


def _staff_guard(declaration: Declaration) -> Response | None:
    if not g.on_staff_host:
        abort(404)
    person = viewer()
    if person is None:
        return to_sign_in()
    if not person.is_staff:
        abort(404)
    if declaration.permission and not may(person.role, declaration.permission):
        abort(403)
    return None


def _customer_guard(declaration: Declaration) -> Response | None:
    domain = portal()
    person = viewer()
    if person is None or person.company_id is None or not is_admitted(person.company_id, domain.id):
        return to_sign_in()
    if declaration.area:
        require_area(declaration.area)
    return None


def _anyone_guard(declaration: Declaration) -> None:
    if declaration.area:
        require_area(declaration.area)


def _status_guard(_declaration: Declaration) -> Response | None:
    domain = portal()
    person = viewer()
    company_id = person.company_id if person else None
    if company_id is not None and is_admitted(company_id, domain.id) and Area.STATUS in areas():
        g.status_viewpoint = Viewpoint(company_id=company_id)
        return None
    if Area.PUBLIC_STATUS in open_areas(domain, None):
        g.status_viewpoint = SIGNED_OUT
        return None
    return refuse_status_reader()


def refuse_status_reader() -> Response:
    """To sign-in for somebody signed out where Status is open to any customer, else 404."""
    if viewer() is not None or not status_is_open_to_somebody(portal()):
        abort(404)
    return to_sign_in()


def _note_seen(response: Response) -> Response:
    """Once a minute, in a transaction of its own, and never for what a page asks by itself."""
    person = viewer() if getattr(g, "host", "") and "_login_user" in g else None
    is_busy = response.status_code == 503
    if person is None or is_busy or is_background() or clock.utcnow() - person.last_seen_at < SEEN_EVERY:
        return response
    events.rollback()
    read_only.set(False)
    try:
        account_actions.note_seen(person.session_id, clock.utcnow())
        events.commit()
    except OperationalError:
        events.rollback()
    return response
