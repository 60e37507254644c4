"""Pages and fragments: same route, same context; htmx gets the fragment, everybody else the page around it."""

import hashlib
from typing import Any

from flask import Response, g, make_response, redirect, render_template, request, session
from flask_wtf.csrf import generate_csrf


def wants_fragment() -> bool:
    """Whether this request is htmx asking for a part; boosted links and history restores want the whole page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
        and headers.get("HX-Request-Type", "partial") == "partial"
    )


def render(page: str, fragment: str, status: int = 200, **context: Any) -> Response:
    """Render the fragment for htmx, else the page that includes it; answers carry an ETag of what is shown.

    The ETag is a hash of the rendered text (the form token taken out, the session's seed put in), so it says
    nothing about internal versions, and an unchanged view is answered 304.
    """
    html = render_template(fragment if wants_fragment() else page, **context)
    response = make_response(html, status)
    response.vary.add("HX-Request")
    if status == 200:
        token = str(getattr(g, "csrf_token", "") or "")
        shown = html.replace(token, "") if token else html
        seed = str(session.get("csrf_token", ""))
        response.set_etag(hashlib.sha256(f"{seed}\n{shown}".encode()).hexdigest()[:32])
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.make_conditional(request)
    return response


def redirect_to(location: str) -> Response:
    """After a write: 303 for a plain form, HX-Location for htmx, which then loads the page without a reload."""
    if request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true":
        return make_response("", 204, {"HX-Redirect": location})
    return make_response(redirect(location, code=303))


def form_token() -> str:
    """The CSRF token of this session, for the page's meta element and for hidden fields."""
    return str(generate_csrf())
