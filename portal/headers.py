"""Request ids, and the headers every answer carries whatever made it. Source: reliability-security, section 5."""

import re
import secrets
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, g, request

from portal.config import Settings
from portal.logs import work_id

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'{live}; form-action 'self'{forms}; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; "
    "manifest-src 'self'{frames}{upgrade}"
)
PERMISSIONS = "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()"


def init_app(app: Flask) -> None:
    settings = cast(Settings, app.config["SETTINGS"])

    @app.before_request
    def _give_request_id() -> None:
        g.request_id = secrets.token_hex(8)
        work_id.set(g.request_id)

    @app.after_request
    def _set_headers(response: Response) -> Response:
        headers = response.headers
        if response.status_code == 308 and not g.get("leads_to_main_name"):
            # The router's own redirects (a missing slash) are built from the Host header, port and all.
            headers["Location"] = without_host(headers["Location"])
            response.set_data("")
        live = f" {live_origin(settings, request.host)}".rstrip()
        forms = "".join(f" {origin}" for origin in g.get("form_origins", ()))
        frames = "; frame-src 'self'" if g.get("shows_frames") else ""
        upgrade = "; upgrade-insecure-requests" if settings.is_https else ""
        headers.setdefault(
            "Content-Security-Policy", POLICY.format(live=live, forms=forms, frames=frames, upgrade=upgrade)
        )
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", PERMISSIONS)
        headers.setdefault("Cache-Control", "private, no-cache")
        if settings.is_https:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        headers.setdefault("X-Request-Id", getattr(g, "request_id", ""))
        return response


def let_forms_lead_to(*origins: str) -> None:
    """Let the forms on this page lead to these origins of ours beside its own: where a browser is redirected to after
    a form is held against the policy too.
    """
    g.form_origins = origins


def let_frames_show_ours() -> None:
    """Let this page hold frames with pages of its own host: for what must be looked at and not be trusted."""
    g.shows_frames = True


def without_host(address: str) -> str:
    """The path and query of an address, never readable as another host."""
    parts = urlsplit(address)
    return urlunsplit(("", "", "/" + parts.path.lstrip("/\\"), parts.query, ""))


def live_origin(settings: Settings, host: str) -> str:
    """Where the hub is reached from a page on this host: "" behind a proxy, else the hub's own port."""
    if not settings.live_port:
        return ""
    name = re.sub(r":\d+$", "", host)
    scheme = "https" if settings.is_https else "http"
    return f"{scheme}://{name}:{settings.live_port}"


def page_origin(settings: Settings, host: str) -> str:
    """The origin of a page on this host, as its browser names it in the Origin header."""
    scheme = "https" if settings.is_https else "http"
    return f"{scheme}://{host.lower()}"
