"""`/admin/styleguide`: every macro in every state, with words one would take for real."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, flash, render_template

from portal import access, clock
from portal.accounts.rules import Permission
from portal.admin.styleguide.forms import SampleForm
from portal.admin.work_sheet.routes import sheet_address
from portal.domains.rules.support import Channels
from portal.files.models import StoredFile
from portal.files.subjects import Known, Ref
from portal.filters import LOOKS
from portal.jobs import queries
from portal.jobs.rules import PublicStatus, public_order
from portal.messages.queries import Conversation, Line
from portal.writing import MessageForm

blueprint = Blueprint("admin_styleguide", __name__, url_prefix="/admin/styleguide")
access.staff(blueprint, Permission.STAFF_ENTER)

BODY = (
    "Calls **out of** the London exchange fail for about one in five. We have moved traffic to *Manchester* "
    "while the carrier replaces a card.\n\n- Incoming calls are not affected\n- Emergency calls go through"
)
DAYS = "-" * 12 + "0" * 31 + "1" + "0" * 14 + "23" + "0" * 19 + "1" + "0" * 10


@dataclass(frozen=True)
class SamplePage:
    """A page of a list that is not there."""

    page: int
    pages: int
    total: int


@blueprint.get("")
def styleguide() -> str:
    """The guide itself."""
    now = clock.utcnow()
    flash("Saved. 34 companies see it now.")
    return render_template(
        "admin/styleguide/styleguide.html",
        kinds=LOOKS,
        form=SampleForm(formdata=None, data=_filled(), meta={"csrf": False}),
        chosen=SampleForm(formdata=None, prefix="chosen-", data=_filled(), meta={"csrf": False}),
        refused=_refused(),
        busy_history={"days": DAYS},
        quiet_history={"days": "0" * 90},
        updates=[
            _update("watching", "A fix is in place. We are watching the next busy hour.", now - timedelta(minutes=9)),
            _update(None, "Carrier ticket 4471902; ask for Dana.", now - timedelta(minutes=31), visibility="private"),
            _update("identified", BODY, now - timedelta(minutes=44)),
            _update("investigating", "We are looking into failing calls.", now - timedelta(hours=3)),
        ],
        planned=[
            _update("scheduled", "Core routers get new software.", now - timedelta(days=4)),
        ],
        pages=[SamplePage(1, 7, 340), SamplePage(4, 7, 340), SamplePage(7, 7, 340)],
        reachable={
            "support": Channels(
                "help@northline.example", "+44 20 7946 0000", "Mon to Fri", "https://northline.example/help"
            )
        },
        work_sheet=sheet_address(),
        work_tables=list(queries.tables().values()),
        public_order=public_order,
        in_hand=PublicStatus(id=0, key="sample", name="In hand", color="#1f6feb", text_color="#ffffff", place=1),
        conversation=_conversation(now),
        writing=MessageForm(formdata=None, prefix="message-"),
        given=StoredFile(public_id="sample", name="cabinet plan.pdf", media_type="application/pdf", size=184_320),
        body=BODY,
        now=now,
        soon=now + timedelta(hours=2),
        later=now + timedelta(hours=5),
        earlier=now - timedelta(hours=3),
        long_ago=now - timedelta(days=40),
    )


def _conversation(now: datetime) -> Conversation:
    lines = [
        Line("1", "Dana Reyes", False, False, False, "The cabinet is open from 8.\nAsk at the gate.", now, []),
        Line("2", "Olaf Marsh", True, True, True, "Bring the long ladder.", now, []),
    ]
    return Conversation(
        Ref("job", 0), "J-1042", Known(0, "Move the router", "#messages"), lines, None, None, now, "", True
    )


def _update(state: str | None, body: str, posted_at: object, visibility: str = "public") -> dict[str, object]:
    return {
        "state": state,
        "body": body,
        "posted_at": posted_at,
        "visibility": visibility,
        "author": {"name": "Ada Marsh"},
    }


def _filled() -> dict[str, object]:
    return {
        "title": "Outgoing calls fail",
        "state": "Identified",
        "audience": "Everyone",
        "components": ["SIP trunks", "Hosted telephony"],
        "notify": True,
        "status_area": True,
    }


def _refused() -> SampleForm:
    """The form as it comes back refused: what was typed is kept, the sentence stands beside the field."""
    data = {"reference": "C-1180", "state": "Fixed"}
    form = SampleForm(formdata=None, prefix="refused-", data=data, meta={"csrf": False})
    sentences = {
        "title": "Give the report a title.",
        "state": "A fixed incident cannot be fixed again.",
        "body": "Say what happened, in the customer's words.",
        "components": "Choose at least one component.",
        "notify": "Nobody can be reached by mail.",
        "status_area": "The public page needs Status.",
    }
    for name, sentence in sentences.items():
        form[name].errors = [sentence]
    return form
