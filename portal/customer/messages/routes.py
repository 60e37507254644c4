"""`/messages/<kind>/<key>`: what was written about a job, a quote and the like, as a page, and writing more."""

from flask import Blueprint, Response

from portal import access, writing
from portal.domains.rules import Area

blueprint = Blueprint("customer_messages", __name__, url_prefix="/messages")
access.customers(blueprint, Area.MESSAGES)
access.takes_uploads("customer_messages.write", None, most_bytes=writing.MOST_BYTES, sentence=writing.TOO_LARGE)

TEMPLATES = "customer/messages"


@blueprint.get("/<kind>/<key>")
def conversation(kind: str, key: str) -> Response:
    """The newest messages, or with `earlier` those before one of them."""
    return writing.answer_with(TEMPLATES, kind, key)


@blueprint.post("/<kind>/<key>")
def write(kind: str, key: str) -> Response:
    """Write to the staff, with files."""
    return writing.take_message(TEMPLATES, kind, key)
