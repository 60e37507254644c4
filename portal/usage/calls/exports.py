"""What goes out of calls: a company's own, with everything its people are told of them."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select

from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind
from portal.usage.calls.models import CallRecord

CALLS = {
    "call_id": "Call-ID",
    "from_number": "From",
    "to_number": "To",
    "started_at": "Start",
    "ringing_at": "Ringing",
    "answered_at": "Answer",
    "ended_at": "End",
    "outcome": "Result",
    "code": "SIP response",
    "service_id": "Service",
}
"""Trunks and carriers are how the firm carries a call: no customer reads them."""


def _calls(company_id: int | None, now: datetime) -> Iterator[Told]:
    columns = [getattr(CallRecord, name) for name in CALLS]
    for row in in_pieces(select(*columns).where(CallRecord.company_id == company_id), CallRecord.id):
        yield {**{name: row._mapping[name] for name in CALLS}, "outcome": row.outcome.value if row.outcome else None}


register(Part(ExportKind.COMPANY, "calls", "calls it made or took, as far as they are kept", CALLS, _calls, 37))
