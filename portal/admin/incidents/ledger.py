"""`/admin/incidents/<id>/reach`: who was told of a report, and whom somebody has to call."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import Response, abort, request, stream_with_context, url_for

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import page_wanted
from portal.admin.incidents.beside import REACHED_TONES, REACHED_WORDS, blueprint, incident_or_404
from portal.audit import actions as audit
from portal.database import read_only
from portal.errors import NotFound
from portal.filters import LOOKS
from portal.fragments import render
from portal.incidents.models import Incident
from portal.incidents.queries.ledger import (
    CompanyLine,
    Contact,
    company_line,
    contacts_among,
    every_line,
    ledger_page,
    messages_to,
    summary_of,
    telephones_among,
)
from portal.incidents.rules.ledger import Reached
from portal.records.rules.files import line_of

CHANNELS = {"mail": "Mail", "sms": "SMS", "slack": "Slack", "teams": "Teams", "webhook": "Webhook"}

HEADERS = (
    "Company",
    "Customer number",
    "Reached",
    "Affected",
    "People",
    "Sent",
    "Waiting",
    "Failed",
    "Came back",
    "Suppressed",
    "Last sent (UTC)",
    "Seen by",
    "First seen (UTC)",
    "Acknowledged (UTC)",
)
CALL_HEADERS = ("Company", "Customer number", "Contact", "E-mail", "Decides", "Why no mail", "Telephones for texts")


class Sheet(StrEnum):
    """What is written as a file: every company of the ledger, or whom to call."""

    ALL = "all"
    CALLS = "calls"


@blueprint.get("/<int:incident_id>/reach")
def reach(incident_id: int) -> Response:
    """Companies, the worst first, 50 a page; `show` narrows it to those who stand alike."""
    found, now = incident_or_404(incident_id), clock.utcnow()
    wanted = _wanted()
    summary = summary_of(found, now)
    lines = ledger_page(found, wanted, page_wanted(), now, summary=summary)
    if lines is None:
        abort(404)
    return render(
        "admin/incidents/reach.html",
        "admin/incidents/_reach.html",
        incident=found,
        lines=lines,
        summary=summary,
        wanted=wanted,
        kinds=Reached,
        words=REACHED_WORDS,
        tones=REACHED_TONES,
        address=lambda shown: url_for("admin_incident_beside.reach", incident_id=found.id, show=shown),
    )


@blueprint.get("/<int:incident_id>/reach/<int:company_id>")
def company_reach(incident_id: int, company_id: int) -> Response:
    """Every message to one company, with what became of it."""
    found, now = incident_or_404(incident_id), clock.utcnow()
    line = company_line(found, company_id, now)
    messages = messages_to(found, company_id, page_wanted())
    if line is None or messages is None:
        raise NotFound
    return render(
        "admin/incidents/company_reach.html",
        "admin/incidents/_company_reach.html",
        incident=found,
        line=line,
        messages=messages,
        contacts=_contacts(company_id, now),
        telephones=telephones_among([company_id]).get(company_id, []) if _may_call() else [],
        channels=CHANNELS,
        words=REACHED_WORDS,
        tones=REACHED_TONES,
    )


@blueprint.get("/<int:incident_id>/calls")
def calls(incident_id: int) -> Response:
    """The companies nobody could be reached at, with whom to call there, to be printed; 50 a page."""
    access.require(Permission.COMPANIES_READ)
    found, now = incident_or_404(incident_id), clock.utcnow()
    lines = ledger_page(found, Reached.NOBODY, page_wanted(), now)
    if lines is None:
        abort(404)
    ids = [each.company_id for each in lines.items]
    return render(
        "admin/incidents/calls.html",
        "admin/incidents/_calls.html",
        incident=found,
        lines=lines,
        contacts=contacts_among(ids, now),
        telephones=telephones_among(ids),
        now=now,
    )


@blueprint.post("/<int:incident_id>/reach/export")
def export_reach(incident_id: int) -> Response:
    """The ledger, or the call list, as CSV. It names people, so that it was made is noted."""
    access.require(Permission.COMPANIES_READ)
    found, now = incident_or_404(incident_id), clock.utcnow()
    sheet = request.form.get("sheet", Sheet.ALL.value)
    if sheet not in list(Sheet):
        abort(422)
    audit.record(
        "incident.export_reach",
        object_kind="incident",
        object_id=found.id,
        by=access.actor(),
        now=now,
        after={"sheet": sheet},
    )
    events.commit()
    read_only.set(True)
    rows = _call_rows(incident_id, now) if sheet == Sheet.CALLS else _rows(incident_id, now)
    response = Response(stream_with_context(rows), mimetype="text/csv")
    name = "calls" if sheet == Sheet.CALLS else "reach"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{incident_id}-{now:%Y-%m-%d}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _rows(incident_id: int, now: datetime) -> Iterator[str]:
    yield line_of(HEADERS)
    for lines in every_line(_again(incident_id), None, now):
        for each in lines:
            yield line_of(_cells(each))


def _cells(each: CompanyLine) -> list[str]:
    return [
        each.name,
        each.external_id or "",
        REACHED_WORDS[each.reached],
        "yes" if each.is_affected else "no",
        *(str(number) for number in (each.people, each.sent, each.waiting, each.failed, each.bounced, each.suppressed)),
        _moment(each.last_sent_at),
        str(each.seen),
        _moment(each.first_seen_at),
        _moment(each.acknowledged_at),
    ]


def _call_rows(incident_id: int, now: datetime) -> Iterator[str]:
    yield line_of(CALL_HEADERS)
    # All of them first: who is to be called is read beside the statement that names the companies.
    for lines in list(every_line(_again(incident_id), Reached.NOBODY, now)):
        ids = [each.company_id for each in lines]
        contacts, telephones = contacts_among(ids, now), telephones_among(ids)
        for line in lines:
            numbers = "; ".join(telephones.get(line.company_id, []))
            people: list[Contact | None] = [*contacts.get(line.company_id, [])]
            for each in people or [None]:
                yield line_of([line.name, line.external_id or "", *_contact_cells(each), numbers])


def _contact_cells(contact: Contact | None) -> list[str]:
    if contact is None:
        return ["", "", "", "It has no people"]
    why = str(LOOKS["unreached"][contact.why].label) if contact.why else ""
    return [contact.name, contact.email, "yes" if contact.decides else "no", why]


def _again(incident_id: int) -> Incident:
    """The report once more, in the transaction the file is read in."""
    return incident_or_404(incident_id)


def _contacts(company_id: int, now: datetime) -> list[Contact]:
    return contacts_among([company_id], now).get(company_id, []) if _may_call() else []


def _may_call() -> bool:
    return may(access.signed_in().role, Permission.COMPANIES_READ)


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _wanted() -> Reached | None:
    shown: Any = request.args.get("show")
    if not shown:
        return None
    if shown not in list(Reached):
        abort(404)
    return Reached(shown)
