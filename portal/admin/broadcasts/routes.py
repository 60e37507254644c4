"""`/admin/broadcasts`: what was sent to many, how far it is, and every recipient with the server's words."""

from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, flash, request, url_for

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import page_wanted, text_wanted
from portal.catalogue.notices.queries import notice_of, unsent
from portal.catalogue.notices.rules import lateness
from portal.fragments import redirect_to, render
from portal.notifications import actions, outlook, queries
from portal.notifications.models import Broadcast
from portal.notifications.queries import Shown
from portal.notifications.rules import BroadcastState

FILTERS = {
    Shown.ALL: "All",
    Shown.WAITING: "Waiting",
    Shown.RETRYING: "Retrying",
    Shown.SENT: "Sent",
    Shown.FAILED: "Failed",
    Shown.LEFT_OUT: "Left out",
    Shown.DOUBTFUL: "Possibly sent",
    Shown.TWICE: "Possibly twice",
}

CHANNEL_WORDS = {"sms": "SMS", "slack": "Slack", "teams": "Teams", "webhook": "webhook"}

UNSENT_AT_MOST = 5
"""Drafts and scheduled notices that stand above the broadcasts; the rest is a link."""

blueprint = Blueprint("admin_broadcasts", __name__, url_prefix="/admin/broadcasts")
access.staff(blueprint, Permission.STAFF_ENTER)


@blueprint.get("")
def broadcasts() -> Response:
    """Every broadcast, newest first, each with its progress; above them what was written and not sent yet."""
    now = clock.utcnow()
    open_only = request.args.get("state") == "open"
    text = text_wanted()
    page = queries.broadcasts(page_wanted(), open_only=open_only, text=text)
    may_write = may(access.signed_in().role, Permission.NOTICES_SEND)
    is_plain = page.page == 1 and not open_only and not text
    waiting, waiting_total = unsent(UNSENT_AT_MOST) if may_write and is_plain else ((), 0)
    return render(
        "admin/broadcasts/broadcasts.html",
        "admin/broadcasts/_broadcasts.html",
        broadcasts=page,
        progress=queries.progress_of_many(page.items, now),
        open_only=open_only,
        text=text,
        may_write=may_write,
        waiting=waiting,
        waiting_total=waiting_total,
    )


@blueprint.get("/<int:broadcast_id>")
def broadcast(broadcast_id: int) -> Response:
    """One broadcast with its progress and its ledger; htmx gets the ledger, filtered anew."""
    found = _found(broadcast_id)
    return _render(found, "admin/broadcasts/_ledger.html", clock.utcnow())


@blueprint.get("/<int:broadcast_id>/progress")
def progress(broadcast_id: int) -> Response:
    """The moving part of the same page."""
    found = _found(broadcast_id)
    return _render(found, "admin/broadcasts/_progress.html", clock.utcnow())


@blueprint.post("/<int:broadcast_id>/pause")
def pause(broadcast_id: int) -> Response:
    """Stop it where it is."""
    found = _steered(broadcast_id)
    actions.pause(found, f"Paused by {access.signed_in().name}.", by=access.actor(), now=clock.utcnow())
    return _done(broadcast_id, "Paused. What a server already has will still be answered.")


@blueprint.post("/<int:broadcast_id>/resume")
def resume(broadcast_id: int) -> Response:
    """Let it go on."""
    actions.resume(_steered(broadcast_id), by=access.actor(), now=clock.utcnow())
    return _done(broadcast_id, "Sending again.")


@blueprint.post("/<int:broadcast_id>/cancel")
def cancel(broadcast_id: int) -> Response:
    """Call off what was not sent yet."""
    count = actions.cancel(_steered(broadcast_id), by=access.actor(), now=clock.utcnow())
    return _done(broadcast_id, f"Cancelled. {count:,} mails will not be sent.")


@blueprint.post("/<int:broadcast_id>/retry")
def retry(broadcast_id: int) -> Response:
    """Try what failed once more."""
    count = actions.retry_failed(_steered(broadcast_id), by=access.actor(), now=clock.utcnow())
    return _done(
        broadcast_id, f"{count:,} mails are tried again." if count else "There is nothing that could be tried."
    )


@blueprint.post("/<int:broadcast_id>/relays/<int:relay_id>/mend")
def mend_relay(broadcast_id: int, relay_id: int) -> Response:
    """Try a resting relay now."""
    _steered(broadcast_id)
    actions.mend_relay(relay_id, by=access.actor(), now=clock.utcnow())
    return _done(broadcast_id, "The relay is tried again now.")


def _found(broadcast_id: int, *, to_steer: bool = False) -> Broadcast:
    found = queries.broadcast_for_staff(broadcast_id, to_steer=to_steer)
    if found is None:
        abort(404)
    return found


def _steered(broadcast_id: int) -> Broadcast:
    access.require(Permission.BROADCASTS_STEER)
    return _found(broadcast_id, to_steer=True)


def _done(broadcast_id: int, sentence: str) -> Response:
    events.commit()
    flash(sentence)
    return redirect_to(url_for("admin_broadcasts.broadcast", broadcast_id=broadcast_id))


def _render(found: Broadcast, fragment: str, now: datetime) -> Response:
    figures = queries.progress(found, now)
    notice = notice_of(found.id) if found.kind == "notice" else None
    context: dict[str, Any] = {
        "broadcast": found,
        "notice": notice,
        "late": lateness(notice.due_at, notice.sent_at) if notice else None,
        "may_write": may(access.signed_in().role, Permission.NOTICES_SEND),
        "figures": figures,
        "time_left": outlook.time_left(found, figures.waiting, figures.per_second, now) if figures.waiting else None,
        "is_open": found.state in {BroadcastState.EXPANDING, BroadcastState.SENDING, BroadcastState.PAUSED},
        "is_worth_sending": found.expires_at > now,
        "relays": queries.relays_in_trouble() if figures.open else (),
        "may_steer": may(access.signed_in().role, Permission.BROADCASTS_STEER),
        "shown": _shown(),
        "channel_words": CHANNEL_WORDS,
        "text": text_wanted(),
    }
    here = partial(url_for, "admin_broadcasts.broadcast", broadcast_id=found.id, q=context["text"] or None)
    context["filters"] = [
        (word, here(show=None if shown is Shown.ALL else shown.value), shown is context["shown"])
        for shown, word in FILTERS.items()
    ]
    page = page_wanted()
    context["ledger_address"] = here(
        show=context["shown"] if context["shown"] is not Shown.ALL else None, page=page if page > 1 else None
    )
    context["ledger"] = queries.ledger(found.id, page, shown=context["shown"], text=context["text"])
    return render("admin/broadcasts/broadcast.html", fragment, **context)


def _shown() -> Shown:
    try:
        return Shown(request.args.get("show", Shown.ALL))
    except ValueError:
        abort(404)
