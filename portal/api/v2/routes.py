"""The addresses of `/api/v2`: read by anybody from anywhere, without a session, and the same for everybody."""

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, Response, current_app, make_response, request

from portal import access, clock
from portal.api.v2.documents import DOCUMENTS, Document
from portal.domains.rules import Area
from portal.incidents.rules import Indicator
from portal.language import written_for_everybody

FRESH = "public, max-age=5, stale-while-revalidate=30"

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Access-Control-Max-Age": "86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

blueprint = Blueprint("api_v2", __name__, url_prefix="/api/v2")
access.everybody(blueprint, Area.PUBLIC_STATUS)


def _answers(build: Document) -> Callable[[], Response]:
    """The view of one document, in the language of the portal domain. Parameters are not looked at: Statuspage has
    none, and what a browser beside the program has chosen does not count.
    """

    def document() -> Response:
        domain = access.portal()
        indicator = Indicator(current_app.config["SETTINGS"].maintenance_indicator)
        with written_for_everybody(domain.language, domain.time_zone):
            found = build(domain, clock.utcnow(), indicator if domain.says_maintenance else Indicator.NONE)
        body = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        response = make_response(body)
        response.content_type = "application/json; charset=utf-8"
        response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
        response.headers["Cache-Control"] = FRESH
        response.make_conditional(request)
        return response

    return document


for name, build in DOCUMENTS.items():
    endpoint = name.replace("scheduled-maintenances", "maintenances").replace("/", "_")
    blueprint.add_url_rule(f"/{name}.json", endpoint, _answers(build))


@blueprint.after_request
def _let_other_sites_read(response: Response) -> Response:
    """Only what is there: a refusal must not tell a closed area from an address that never was."""
    if response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        response.headers.extend(CORS)
    return response
