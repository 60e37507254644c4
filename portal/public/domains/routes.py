"""`/.well-known/signalbox-check/<nonce>`: whether a name leads to this installation.

Answered on any host, known or not: a name is asked before it is added, and a proxy may hide it. The answer proves that
the secret key is known here, and says nothing else; it can be made for no other purpose than this one.
"""

import re

from flask import Blueprint, Response, abort, current_app, g, make_response

from portal import access
from portal.config import Settings
from portal.domains.rules.hosts import CHECK_PATH, check_answer, check_key

blueprint = Blueprint("public_domains", __name__)
access.machines(blueprint)

_NONCE = re.compile(r"[A-Za-z0-9_-]{20,64}")


@blueprint.get(f"{CHECK_PATH}<nonce>")
def check(nonce: str) -> Response:
    """The answer to a nonce, as plain text."""
    if not _NONCE.fullmatch(nonce):
        abort(404)
    settings: Settings = current_app.config["SETTINGS"]
    response = make_response(check_answer(check_key(settings.secret_key), nonce, g.host))
    response.mimetype = "text/plain"
    response.headers["Cache-Control"] = "no-store"
    return response
