"""Answers that are the same for everybody signed out."""

import hashlib
from typing import Any

from flask import Response, current_app, make_response, request

from portal import access
from portal.domains.models import PortalDomain
from portal.fragments import wants_fragment
from portal.language import remember_nothing

FRESH = "public, max-age=5, stale-while-revalidate=30"
"""For how long anybody on the way may keep what is the same for everybody."""


def answer_everybody(html: str) -> Response:
    """A page anybody on the way may keep for a moment; the fragment of an open page is asked for anew each time.

    It varies by cookie although nothing of a cookie is in it: the same address answers those signed in with
    their own page, and a browser that has just signed in must not be given the copy it kept from before.
    """
    response = make_response(html)
    response.set_etag(hashlib.sha256(html.encode()).hexdigest()[:32])
    fresh = "public, no-cache" if wants_fragment() else FRESH
    person = access.viewer()
    # Staff who look as a company see the bar above it, which is for nobody else.
    is_shared = person is None or not person.is_view_as
    response.headers["Cache-Control"] = fresh if is_shared else "private, no-cache"
    keep_from_indexes(response, access.portal())
    response.vary.update(["HX-Request", "Cookie"])
    response.make_conditional(request)
    return response


def answer_machines(body: str | bytes, content_type: str, domain: PortalDomain) -> Response:
    """What feed readers, pictures and frames on other sites ask for: no cookie was read, and none is set."""
    remember_nothing()
    response = make_response(body)
    response.content_type = content_type
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.headers["Cache-Control"] = FRESH
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    keep_from_indexes(response, domain)
    response.make_conditional(request)
    return response


def render_bare(template: str, **context: Any) -> str:
    """A template without what every other one is given: to know who is signed in, a cookie would be read."""
    return current_app.jinja_env.get_template(template).render(context)


def keep_from_indexes(response: Response, domain: PortalDomain) -> None:
    """Say to search engines that this is not for them, where the portal domain wants it so."""
    if not domain.is_indexed:
        response.headers["X-Robots-Tag"] = "noindex"
