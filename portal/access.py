"""Who gets in where: hosts, sessions, and the declared audience of every blueprint.

A blueprint says once who it is for (`staff`, `customers`, `anyone`, `machines`); its guard runs before every
view of it. A route without a declared audience is refused, and a test walks the URL map for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from flask import Blueprint, Flask, abort, current_app, g, redirect, request
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from sqlalchemy.exc import OperationalError
from werkzeug.routing import IntegerConverter, Map, Rule
from werkzeug.wrappers import Response

from portal import clock, events, filters, headers, limits
from portal.accounts import actions as account_actions
from portal.accounts.actions import throttles
from portal.accounts.actions.tokens import note_used
from portal.accounts.queries import Viewer, viewer_by_token
from portal.accounts.queries.tokens import key_by_hash
from portal.accounts.rules import SIGNED_OUT, STAFF, Permission, Viewpoint, may, safe_next
from portal.accounts.rules import throttles as throttle_rules
from portal.accounts.rules import tokens as token_rules
from portal.accounts.rules.throttles import Throttle
from portal.accounts.rules.tokens import ApiKey, Resource, Right
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.database import read_only
from portal.domains.models import PortalDomain
from portal.domains.queries import domain_by_host, home_of, is_admitted, open_areas, status_is_open_to_somebody
from portal.domains.rules import Area, normal_host
from portal.errors import LOOKED_AT_ONLY, answer, to_sign_in
from portal.extensions import csrf, login_manager

SEEN_EVERY = timedelta(minutes=1)

CONFIRMED_FOR = timedelta(minutes=15)
"""For how long a password that was typed stands for whoever sits there."""

ENDS_A_LOOK = frozenset({"accounts.sign_out", "public_view_as.stop"})
"""All that staff may send while they look at a portal as a company sees it."""


class RowId(IntegerConverter):
    """An id in a path: beyond what a row can have there is no such address, rather than an error of the database."""

    def __init__(self, url_map: Map, max: int = 2**31 - 1, **options: Any) -> None:
        super().__init__(url_map, max=max, **options)


class Route(Rule):
    """A rule whose two ways of building an address are each made when the first address is built that way.

    Werkzeug compiles both for every rule as it is added. For the hundreds there are, that is a sixth of a start, and
    most processes never lead to most of them.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def build(route: "Route", /, **values: Any) -> tuple[str, str]:
            made = super(Route, route)._compile_builder(append_unknown).__get__(route, None)
            setattr(route, "_build_unknown" if append_unknown else "_build", made)
            return cast(tuple[str, str], made(**values))

        return build


class Audience(StrEnum):
    """Who a blueprint is for."""

    STAFF = "staff"
    CUSTOMERS = "customers"
    ANYONE = "anyone"
    MACHINES = "machines"
    TOKENS = "tokens"


@dataclass(frozen=True)
class Declaration:
    """Who may come in, and of the areas the one, or one of those, that must be open to them.

    What `is_personal` is about the person and not the company, so nobody looks at it as the company.
    `without_second_factor` lets staff in who have yet to set up the one that is required of them.
    """

    audience: Audience
    permission: Permission | None = None
    area: Area | None = None
    one_of: frozenset[Area] = frozenset()
    resource: Resource | None = None
    is_personal: bool = False
    without_second_factor: bool = False


_declared: dict[str, Declaration] = {}

_uploads: dict[str, tuple[Permission | None, int, Any]] = {}
_batches: dict[str, int] = {}
_on_every_name: set[str] = set()
_loads_by_itself: set[str] = set()


def staff(blueprint: Blueprint, permission: Permission, *, without_second_factor: bool = False) -> None:
    """Staff with this permission, on the staff host only; with a second factor where that is required of all."""
    declaration = Declaration(Audience.STAFF, permission=permission, without_second_factor=without_second_factor)
    _declare(blueprint, declaration, _staff_guard)


def customers(blueprint: Blueprint, area: Area | None = None, *, is_personal: bool = False) -> None:
    """People signed in for a company on a portal domain that admits it, while the area is open for them."""
    _declare(blueprint, Declaration(Audience.CUSTOMERS, area=area, is_personal=is_personal), _customer_guard)


def anyone(blueprint: Blueprint, area: Area | None = None) -> None:
    """Everybody, signed in or not; with an area, on portal domains where it is open."""
    _declare(blueprint, Declaration(Audience.ANYONE, area=area), _anyone_guard)


def everybody(blueprint: Blueprint, area: Area) -> None:
    """Everybody, through the eyes of somebody signed out, on portal domains where the area is open.

    No cookie is read: the answer is the same for all, and asking keeps no session alive.
    """
    _declare(blueprint, Declaration(Audience.ANYONE, area=area), _everybody_guard)


def machines(blueprint: Blueprint) -> None:
    """Health checks and the like: any host, no session, nothing private in the answer."""
    _declare(blueprint, Declaration(Audience.MACHINES), lambda _declaration: None)


def loads_by_itself(endpoint: str) -> None:
    """Pages ask for this endpoint by themselves, and cannot say so: a style sheet that a live refresh has brought."""
    _loads_by_itself.add(endpoint)


def on_every_name(endpoint: str) -> None:
    """This endpoint also answers on the further names of a portal domain, which else only lead to its main one.

    For what mail programs send to links that were written before the main name changed: they follow no redirect.
    """
    _on_every_name.add(endpoint)


def tokens(blueprint: Blueprint, resource: Resource, area: Area | None = None) -> None:
    """Machines with a token whose scope reaches this resource: reading with GET and HEAD, changing with the rest.

    The token stands in the Authorization header and nowhere else: no cookie is read, so no form token is asked for.
    One without a company works on the staff host only; one of a company there and on the portal domains that admit
    it, as long as the area is open for it. To whom a resource is not shown at all it does not exist.
    """
    csrf.exempt(blueprint)
    _declare(blueprint, Declaration(Audience.TOKENS, area=area, resource=resource), _token_guard)


def takes_uploads(endpoint: str, permission: Permission | None, *, most_bytes: int, sentence: Any) -> None:
    """Let staff with this permission, or with None whoever is signed in and may enter, send so many bytes there.

    Everybody else may send what any form may have. `sentence` is the advice of the 413 for who sends more, lazily
    translated where customers read it.
    """
    _uploads[endpoint] = (permission, most_bytes, sentence)


def takes_batches(endpoint: str, *, most_bytes: int) -> None:
    """Let machines send so many bytes there. Whose token may is asked before anything reads what they sent."""
    _batches[endpoint] = most_bytes


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


def key() -> ApiKey:
    """The token that asks, in a view whose guard is that of `tokens`."""
    return cast(ApiKey, g.api_key)


def require_recent_password() -> None:
    """Go on only where the password was typed within the last quarter of an hour; else ask for it and come back.

    For settings, keys, exports, addresses and second factors, on their pages and again when they are saved. A page is
    sent to `/confirm` by 302 and htmx by 401 with HX-Redirect; a form comes back to the page it stands on.
    """
    if signed_in().is_view_as:
        abort(403)
    if not is_confirmed():
        abort(_lead_to(f"/confirm?{urlencode({'next': _page_asked_from()})}"))


def is_confirmed() -> bool:
    """Whether the password was typed in this session a moment ago."""
    confirmed_at = signed_in().confirmed_at
    return confirmed_at is not None and clock.utcnow() - confirmed_at < CONFIRMED_FOR


def wait_sentence(seconds: int) -> str:
    """How long somebody has to wait who has tried too often, in one sentence."""
    minutes = max(1, -(-seconds // 60))
    if minutes < 120:
        return str(ngettext("You can try again in %(num)d minute.", "You can try again in %(num)d minutes.", minutes))
    hours = -(-minutes // 60)
    return str(ngettext("You can try again in %(num)d hour.", "You can try again in %(num)d hours.", hours))


def too_often(seconds: int) -> Response:
    """429 for whoever has tried too often, with when it may be tried again in words and in Retry-After."""
    return answer(429, wait_sentence(seconds), headers={"Retry-After": str(seconds)})


def _page_asked_from() -> str:
    """The path to come back to: the page itself, or that on which a form or a fragment stands."""
    if request.method == "GET" and not request.headers.get("HX-Request"):
        return request.full_path.rstrip("?")
    page = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    is_ours = page.netloc in {"", request.host}
    return safe_next(f"{page.path}?{page.query}".rstrip("?") if is_ours else None)


def _lead_to(path: str) -> Response:
    """Elsewhere before this can go on: 302 for a page, 401 with HX-Redirect for htmx, which would swap a 302 in."""
    if request.headers.get("HX-Request"):
        return answer(401, headers={"HX-Redirect": path})
    return redirect(path)


def viewpoint() -> Viewpoint:
    """The viewpoint of whoever asks, for queries."""
    if "api_key" in g:
        return STAFF if key().company_id is None else Viewpoint(company_id=key().company_id)
    person = viewer()
    if person and person.is_staff and g.on_staff_host:
        return STAFF
    return Viewpoint(company_id=person.company_id if person else None)


def actor() -> Actor:
    """The signed-in person, or the token that asks, as the audit trail names them."""
    if "api_key" in g:
        return Actor(f"API token “{key().name}”", ip=request.remote_addr, request_id=g.request_id)
    person = viewer()
    if person is None:
        return Actor("anonymous", ip=request.remote_addr, request_id=g.request_id)
    return Actor(person.email, person.person_id, request.remote_addr, g.request_id)


def cookie_name() -> str:
    settings = cast(Settings, current_app.config["SETTINGS"])
    return "__Host-sid" if settings.is_https else "sid"


def is_background() -> bool:
    """Whether the page asks by itself (a live refresh or a poll): that never keeps a session alive."""
    return request.headers.get("X-Background") == "1" or request.endpoint in _loads_by_itself


def init_app(app: Flask) -> None:
    app.url_map.converters["int"] = RowId
    app.url_rule_class = Route
    login_manager.init_app(app)
    # It looks into the session of every request for a cookie we never set, and so adds Vary: Cookie to all answers.
    app.after_request_funcs[None].remove(login_manager._update_remember_cookie)
    login_manager.session_protection = None
    login_manager.request_loader(_load_viewer)
    app.before_request(_open_transaction_kind)
    app.before_request(_find_host)
    app.before_request(_refuse_undeclared)
    app.before_request(_take_uploads)
    app.before_request(_refuse_nul)
    app.before_request(_let_view_as_only_look)
    app.after_request(_note_seen)
    app.after_request(_note_refused)
    app.after_request(_note_token_used)
    limits.init_app(app)


def _declare(blueprint: Blueprint, declaration: Declaration, guard: Callable[[Declaration], Any]) -> None:
    _declared[blueprint.name] = declaration

    def run_guard() -> Response | None:
        return cast(Response | None, guard(declaration))

    blueprint.before_request(run_guard)


def _open_transaction_kind() -> None:
    read_only.set(request.method in {"GET", "HEAD", "OPTIONS"})


def _find_host() -> Response | None:
    settings = cast(Settings, current_app.config["SETTINGS"])
    host = normal_host(request.host)
    g.host = host
    g.on_staff_host = host == normal_host(settings.staff_host)
    g.portal = None
    declaration = declaration_of(request.endpoint) if request.endpoint else None
    if declaration and declaration.audience is Audience.MACHINES:
        return None
    if not host:
        abort(400)
    if request.endpoint == "assets.asset":
        return None
    g.portal = domain_by_host(host)
    if g.portal is None:
        return None if g.on_staff_host else abort(400)
    return _enter(g.portal, declaration)


def _enter(domain: PortalDomain, declaration: Declaration | None) -> Response | None:
    """On the main name customers are spoken to in the domain's own words; a further name leads to the main one."""
    if domain.host == g.host:
        if declaration is None or declaration.audience is not Audience.STAFF:
            filters.speak_as(domain.wordings)
        return None
    if g.on_staff_host:
        # The installation's address was changed to a further name: staff must get in to put that right.
        g.portal = None
        return None
    return _lead_to_main_name(domain)


def _lead_to_main_name(domain: PortalDomain) -> Response | None:
    """Answer on a further name of a portal domain: nothing is shown there, so nothing is shown twice.

    Whoever reads is led to the same path on the main name, built from the stored address and never from the request.
    Whoever sends something is not: no page of ours was open there, and a redirect would send it twice.
    """
    if request.endpoint in _on_every_name:
        return None
    if request.method not in {"GET", "HEAD"}:
        abort(404)
    g.leads_to_main_name = True
    path = quote("/" + request.path.lstrip("/\\"), safe="/:@!$&'()*+,;=~-._")
    query = quote(request.query_string.decode("latin-1"), safe="/:@!$&'()*+,;=~-._?%", encoding="latin-1")
    response = current_app.response_class(status=308)
    response.headers["Location"] = f"{domain.base_url}{path}" + (f"?{query}" if query else "")
    return response


def _refuse_undeclared() -> None:
    if request.endpoint and declaration_of(request.endpoint) is None:
        abort(404)


def _take_uploads() -> Response | None:
    """Raise the limit of one request, for whoever may send that much there, before anything reads its body."""
    if batch := _batches.get(request.endpoint or ""):
        request.max_content_length = batch
        return None
    upload = _uploads.get(request.endpoint or "")
    person = viewer() if upload else None
    if upload is None or person is None or person.is_view_as:
        return None
    permission, most_bytes, sentence = upload
    if permission is not None and not (g.on_staff_host and may(person.role, permission)):
        return None
    request.max_content_length = most_bytes
    return answer(413, detail=str(sentence)) if (request.content_length or 0) > most_bytes else None


def _refuse_nul() -> None:
    """No keyboard types a NUL, PostgreSQL stores none, and SQLite would store it silently."""
    fields = (*request.args.listvalues(), *request.form.listvalues())
    if "\x00" in request.path or any("\x00" in value for values in fields for value in values):
        abort(400)


def _let_view_as_only_look() -> Response | None:
    """Staff who look as a company change nothing, whatever the route: this is asked before any of them is."""
    if request.method in {"GET", "HEAD", "OPTIONS"} or request.endpoint in ENDS_A_LOOK:
        return None
    declaration = declaration_of(request.endpoint) if request.endpoint else None
    if declaration and declaration.audience is Audience.MACHINES:
        return None
    person = viewer()
    return _only_looking() if person and person.is_view_as else None


def _only_looking() -> Response:
    """The refusal of everything that staff may not do, or see, in a customer's place."""
    person = signed_in()
    detail = _(
        "You see this portal as %(company)s does. Nothing can be changed here, and what belongs to a "
        "single person is not shown. Stop looking to go back.",
        company=person.company_name,
    )
    return answer(403, detail, title=_("You are only looking"))


def _load_viewer(_request: object) -> Viewer | None:
    declaration = declaration_of(request.endpoint) if request.endpoint else None
    if declaration and declaration.audience is Audience.TOKENS:
        return None
    token = request.cookies.get(cookie_name())
    if not token or not getattr(g, "host", ""):
        return None
    found = viewer_by_token(account_actions.token_hash(token), g.host, clock.utcnow())
    if found and found.is_view_as:
        # The button that ends a look leads back to the staff host.
        headers.let_forms_lead_to(cast(Settings, current_app.config["SETTINGS"]).base_url)
    return found


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
    if person.lacks_second_factor and not declaration.without_second_factor:
        return _lead_to("/admin/account/second-factor")
    return None


def _customer_guard(declaration: Declaration) -> Response | None:
    domain = portal()
    person = viewer()
    if person is None or person.company_id is None or not is_admitted(person.company_id, domain.id):
        return to_sign_in()
    if declaration.is_personal and person.is_view_as:
        return _only_looking()
    if declaration.area:
        require_area(declaration.area)
    return None


def _anyone_guard(declaration: Declaration) -> None:
    if declaration.area:
        require_area(declaration.area)


def _everybody_guard(declaration: Declaration) -> None:
    if declaration.area not in open_areas(portal(), None):
        abort(404)


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


IDENTIFY = "Send a token in a header like “Authorization: Bearer sbx_…”."
OPENS_NOTHING = "This token opens nothing: it is mistyped, revoked, expired, or for another address."
TOO_MANY = "Too many tokens that open nothing came from this address. Wait for the seconds in Retry-After."
TOO_OFTEN = "This token has asked too often. Wait for the seconds in Retry-After."
CHALLENGE = 'Bearer realm="Signalbox"'


def _token_guard(declaration: Declaration) -> Response | None:
    now = clock.utcnow()
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        return answer(401, detail=IDENTIFY, headers={"WWW-Authenticate": CHALLENGE})
    found = key_by_hash(token_rules.token_hash(secret.strip()), now)
    if found is None or not _answers_here(found):
        return _refuse_token(now)
    g.api_key = found
    limit = cast(Settings, current_app.config["SETTINGS"]).api_requests_per_minute
    limiter: limits.Limiter = current_app.extensions["limiter"]
    g.allowance = limiter.take(f"token:{found.token_id}", limit, now.timestamp())
    if g.allowance.is_over:
        return answer(429, detail=TOO_OFTEN, headers={"Retry-After": str(g.allowance.reset)})
    return _refuse_scope(found, declaration)


def _answers_here(found: ApiKey) -> bool:
    """Whether this host answers this token: the staff host any, a portal domain those of companies it admits."""
    if g.on_staff_host:
        return True
    return found.company_id is not None and g.portal is not None and is_admitted(found.company_id, g.portal.id)


def _refuse_scope(found: ApiKey, declaration: Declaration) -> Response | None:
    is_bound = found.company_id is not None
    resource = cast(Resource, declaration.resource)
    granted = token_rules.right(found.scope, resource, for_company=is_bound)
    if is_bound and granted is Right.NONE:
        abort(404)
    if is_bound and declaration.area and declaration.area not in company_areas():
        abort(404)
    needed = Right.READ if request.method in {"GET", "HEAD", "OPTIONS"} else Right.WRITE
    if granted < needed:
        return answer(403, detail=f"The scope of this token, “{found.scope}”, does not reach that far.")
    return None


def company_areas() -> frozenset[Area]:
    """The areas open to the company of the token that asks: on this portal domain, or from the staff host its home."""
    if "company_areas" not in g:
        company_id = cast(int, key().company_id)
        domain = home_of(company_id) if g.on_staff_host else g.portal
        g.company_areas = open_areas(domain, company_id) if domain else frozenset()
    return cast(frozenset[Area], g.company_areas)


def _refuse_token(now: datetime) -> Response:
    """401, or 429 for whoever has tried too many of them; the count is a transaction of its own."""
    subject = throttle_rules.ip_subject(request.remote_addr)
    wait = throttles.waiting(Throttle.API_FAILURE_BY_ADDRESS, subject, now)
    if not wait:
        events.rollback()
        read_only.set(False)
        wait = throttles.take(Throttle.API_FAILURE_BY_ADDRESS, subject, now)
        audit.count("token.refuse", by=actor(), now=now, object_kind="token")
        events.commit()
    if wait:
        return answer(429, detail=TOO_MANY, headers={"Retry-After": str(wait)})
    challenge = {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'}
    return answer(401, detail=OPENS_NOTHING, headers=challenge)


def _note_token_used(response: Response) -> Response:
    """What a token may still ask; and, once a minute and in a transaction of its own, that it was used."""
    if "allowance" in g:
        allowance: limits.Allowance = g.allowance
        response.headers["RateLimit-Limit"] = str(allowance.limit)
        response.headers["RateLimit-Remaining"] = str(allowance.remaining)
        response.headers["RateLimit-Reset"] = str(allowance.reset)
        response.headers["RateLimit-Policy"] = f"{allowance.limit};w={limits.WINDOW}"
    if "api_key" not in g or response.status_code == 503:
        return response
    now, last = clock.utcnow(), key().last_used_at
    if last is not None and now - last < token_rules.SEEN_EVERY:
        return response
    events.rollback()
    read_only.set(False)
    try:
        note_used(key().token_id, now)
        events.commit()
    except OperationalError:
        events.rollback()
    return response


def refuse_status_reader() -> Response:
    """To sign-in for somebody signed out where Status is open to any customer, else 404."""
    if viewer() is not None or not status_is_open_to_somebody(portal()):
        abort(404)
    return to_sign_in()


def _note_seen(response: Response) -> Response:
    """Once a minute, in a transaction of its own, and never for what a page asks by itself or staff only look at."""
    person = viewer() if getattr(g, "host", "") and "_login_user" in g else None
    is_busy = response.status_code == 503
    if (
        person is None
        or person.is_view_as
        or is_busy
        or is_background()
        or clock.utcnow() - person.last_seen_at < SEEN_EVERY
    ):
        return response
    events.rollback()
    read_only.set(False)
    try:
        account_actions.note_seen(person.session_id, clock.utcnow())
        events.commit()
    except OperationalError:
        events.rollback()
    return response


def _note_refused(response: Response) -> Response:
    """That somebody asked for what they have no right to stands in the audit trail: counted, however often."""
    is_somebody = "api_key" in g or ("_login_user" in g and viewer())
    if response.status_code != 403 or not is_somebody or LOOKED_AT_ONLY in request.environ:
        return response
    by = actor()
    events.rollback()
    read_only.set(False)
    place = request.endpoint or ""
    try:
        audit.count(
            "access.refuse",
            by=by,
            now=clock.utcnow(),
            object_kind="page",
            detail={"place": place, "method": request.method},
            apart=place,
        )
        events.commit()
    except OperationalError:
        events.rollback()
    return response
