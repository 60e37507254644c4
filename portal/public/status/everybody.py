"""Answers that are the same for everybody signed out."""

import hashlib

from flask import Response, make_response, request

from portal import access
from portal.fragments import wants_fragment


def answer_everybody(html: str) -> Response:
    """A page anybody on the way may keep for a moment; the fragment of an open page is asked for anew each time.

    It varies by cookie although nothing of a cookie is in it: the same address answers those signed in with
    their own page, and a browser that has just signed in must not be given the copy it kept from before.
    """
    response = make_response(html)
    response.set_etag(hashlib.sha256(html.encode()).hexdigest()[:32])
    fresh = "no-cache" if wants_fragment() else "max-age=5, stale-while-revalidate=30"
    person = access.viewer()
    # Staff who look as a company see the bar above it, which is for nobody else.
    is_shared = person is None or not person.is_view_as
    response.headers["Cache-Control"] = f"public, {fresh}" if is_shared else "private, no-cache"
    response.vary.update(["HX-Request", "Cookie"])
    response.make_conditional(request)
    return response
