"""`/admin/messages`: who waits for an answer; what was written about one thing, and writing more."""

from flask import Blueprint, Response, abort, flash

from portal import access, clock, events, writing
from portal.accounts.queries.names import names_of_companies
from portal.accounts.rules import Permission
from portal.files import subjects
from portal.files.subjects import Ref
from portal.fragments import redirect_to, render
from portal.messages import actions, queries

blueprint = Blueprint("admin_messages", __name__, url_prefix="/admin/messages")
access.staff(blueprint, Permission.STAFF_ENTER)
access.takes_uploads(
    "admin_messages.write", Permission.STAFF_ENTER, most_bytes=writing.MOST_BYTES, sentence=writing.TOO_LARGE
)

TEMPLATES = "admin/messages"

WAITING_SHOWN = 100
"""Those who have waited longest; once they are answered the next ones come."""


@blueprint.get("")
def waiting() -> Response:
    """The customers who wait for an answer, the longest first."""
    waits = queries.waiting(WAITING_SHOWN)
    seen = subjects.seen_among(access.viewpoint(), [each.ref for each in waits])
    rows = [(seen[each.ref], each) for each in waits if each.ref in seen]
    return render(
        "admin/messages/waiting.html",
        "admin/messages/_waiting.html",
        rows=rows,
        names=names_of_companies({known.company_id for known, _each in rows}),
        total=queries.count_waiting(),
    )


@blueprint.get("/<kind>/<key>")
def conversation(kind: str, key: str) -> Response:
    """The newest messages, notes of staff among them, or with `earlier` those before one of them."""
    return writing.answer_with(TEMPLATES, kind, key)


@blueprint.post("/<kind>/<key>")
def write(kind: str, key: str) -> Response:
    """Answer the customer, or note something for staff, with files."""
    return writing.take_message(TEMPLATES, kind, key)


@blueprint.post("/<kind>/<key>/settle")
def settle(kind: str, key: str) -> Response:
    """Nothing needs to be answered: the customer does not wait any more."""
    ref, path = _ref(kind, key)
    actions.settle(ref, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Nobody waits for an answer here any more.")
    return redirect_to(f"{path}#messages")


@blueprint.post("/<kind>/<key>/<public_id>/delete")
def delete(kind: str, key: str, public_id: str) -> Response:
    """Take a message away for everybody, with its files."""
    ref, path = _ref(kind, key)
    message = queries.message_in(ref, public_id) or abort(404)
    actions.delete_message(message, ref, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("The message is deleted.")
    return redirect_to(f"{path}#messages")


def _ref(kind: str, key: str) -> tuple[Ref, str]:
    """What an address is about, and its page, for staff who may write about it."""
    ref = subjects.found(kind, key) or abort(404)
    subject, known = subjects.subject_of(kind), subjects.seen(access.viewpoint(), ref)
    if subject is None or known is None:
        abort(404)
    access.require(subject.permission)
    return ref, known.path
