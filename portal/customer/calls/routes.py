"""`/calls`: the company's own calls, found by number, time, Call-ID or how they ended, and as CSV."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _

from portal import access
from portal.domains.rules import Area
from portal.fragments import render
from portal.keyset import Wanted
from portal.language import reader_zone
from portal.records.rules.files import line_of
from portal.usage import sources
from portal.usage.calls.asked import Asked, asked
from portal.usage.calls.models import CallRecord
from portal.usage.calls.queries import CALL_ORDERS, PAGES_AT_MOST, Found, records, search
from portal.usage.calls.rules import Outcome
from portal.usage.figures import has_calls

blueprint = Blueprint("customer_calls", __name__)
access.customers(blueprint, Area.ALERTS)

CSV_AT_MOST = 5_000
"""Calls of one file, the newest; an earlier time asks for the others."""


@dataclass(frozen=True)
class CallLine:
    """A call as the people of its company read it: without the trunk and the carrier it went by."""

    call_id: str
    from_number: str
    to_number: str
    started_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    code: int | None

    @property
    def talk(self) -> timedelta | None:
        """How long people spoke; None while they do, and where they never did."""
        return self.ended_at - self.answered_at if self.answered_at and self.ended_at else None

    @property
    def setup(self) -> timedelta | None:
        """How long it took until it rang, or was answered where nothing rang."""
        heard = self.ringing_at or self.answered_at
        return heard - self.started_at if heard else None


@blueprint.get("/calls")
def calls() -> Response:
    """The newest first, 50 a page; where something typed cannot be looked for it says so, and finds nothing."""
    company_id, wanted = _company_id(), _asked()
    found = Found([], 1, has_more=False) if wanted.wrong else search(company_id, wanted.wanted, _page())
    if found is None:
        abort(404)
    return render(
        "customer/calls/calls.html",
        "customer/calls/_calls.html",
        422 if wanted.wrong else 200,
        asked=wanted,
        lines=[_line(each) for each in found.items],
        found=found,
        outcomes=list(Outcome),
        has_any=bool(found.items) or has_calls(company_id),
        topic=sources.topic(company_id),
        most=CSV_AT_MOST,
    )


@blueprint.get("/calls.csv")
def as_csv() -> Response:
    """The same as CSV, the newest 5,000."""
    wanted = _asked()
    if wanted.wrong:
        abort(422)
    piece = records(_company_id(), Wanted(CALL_ORDERS["-started_at"], limit=CSV_AT_MOST), wanted.wanted)
    headings = ["Call-ID", _("From"), _("To"), _("Start"), _("Ringing"), _("Answer"), _("End"), _("Result"), "SIP"]
    text = line_of(headings) + "".join(line_of(_cells(_line(each))) for each in piece.items)
    answer = Response(text, mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="calls.csv"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _company_id() -> int:
    return access.signed_in().company_id or 0


def _asked() -> Asked:
    return asked(request.args, reader_zone())


def _page() -> int:
    text = request.args.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    return number if 1 <= number <= PAGES_AT_MOST else abort(404)


def _line(call: CallRecord) -> CallLine:
    return CallLine(
        call.call_id,
        call.from_number,
        call.to_number,
        call.started_at,
        call.ringing_at,
        call.answered_at,
        call.ended_at,
        call.outcome,
        call.code,
    )


def _cells(line: CallLine) -> list[str]:
    times = (line.started_at, line.ringing_at, line.answered_at, line.ended_at)
    return [
        line.call_id,
        line.from_number,
        line.to_number,
        *("" if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z") for at in times),
        line.outcome.value if line.outcome else "",
        "" if line.code is None else str(line.code),
    ]
