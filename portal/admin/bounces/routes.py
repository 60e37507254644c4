"""`/admin/bounces`: what came back, what followed from it, and how the mailbox fares that it comes back to."""

from datetime import timedelta

from flask import Blueprint, Response, abort, current_app, request, url_for

from portal import access, clock
from portal.accounts.rules import Permission
from portal.config import Settings
from portal.fragments import render
from portal.notifications.bounces import queries
from portal.notifications.bounces.queries import NEWEST, Wanted
from portal.notifications.bounces.rules import Outcome

WITHIN = timedelta(days=30)
"""How far back reports are counted."""

FILTERS = {Wanted.ALL: "All", Wanted.STOPPED: "Did not arrive", Wanted.FOR_A_HUMAN: "To look at"}

blueprint = Blueprint("admin_bounces", __name__, url_prefix="/admin/bounces")
access.staff(blueprint, Permission.STAFF_ENTER)


@blueprint.get("")
def bounces() -> Response:
    """The newest reports with what was made of them, the sums of a month, and the mailbox. Three queries."""
    shown = request.args.get("show", Wanted.ALL.value)
    if shown not in set(Wanted):
        abort(404)
    wanted = Wanted(shown)
    settings: Settings = current_app.config["SETTINGS"]
    counts = queries.counts(clock.utcnow() - WITHIN)
    here = "admin_bounces.bounces"
    return render(
        "admin/bounces/bounces.html",
        "admin/bounces/_bounces.html",
        lines=queries.newest(wanted),
        counts=[(outcome, counts[outcome]) for outcome in Outcome if outcome in counts],
        total=queries.counted(counts, wanted),
        mailbox=queries.mailbox(),
        has_mailbox=bool(settings.bounce_imap_url),
        has_door=bool(settings.bounce_http_secrets),
        bounce_address=settings.bounce_address,
        shown=shown,
        most=NEWEST,
        filters=[
            (label, url_for(here, show=each.value if each is not Wanted.ALL else None), each is wanted)
            for each, label in FILTERS.items()
        ],
    )
