"""`/api/v1/`: the reference, made from the document, and `/api/v1/openapi.json`, the document itself.

Both answer on the staff host alone, where tokens are made, to anybody: there is nothing secret in them, and nothing
of this installation but its address.
"""

import hashlib
import json

from flask import Blueprint, abort, current_app, g, request
from werkzeug.wrappers import Response

from portal import access
from portal.api.v1.document import document
from portal.api.v1.reference.pages import pages_of
from portal.fragments import render

blueprint = Blueprint("api_reference", __name__, url_prefix="/api/v1")
access.anyone(blueprint)


@blueprint.get("/")
def reference() -> Response:
    """Every operation with its parameters and an example to copy."""
    _on_staff_host()
    made = document(current_app)
    return render(
        "api/v1/reference/reference.html",
        "api/v1/reference/_reference.html",
        info=made["info"],
        address=made["servers"][0]["url"],
        scopes=made["components"]["securitySchemes"]["token"]["description"],
        pages=pages_of(made),
    )


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The document, for generators of clients and for tests."""
    _on_staff_host()
    body = json.dumps(document(current_app), ensure_ascii=False)
    response = current_app.response_class(body, mimetype="application/json")
    response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    return response.make_conditional(request)


def _on_staff_host() -> None:
    if not g.on_staff_host:
        abort(404)
