"""`/admin/audit`: what was done, by whom, from where, before and after; searched, proved, and taken along as CSV."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, abort, request, stream_with_context, url_for

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.audit.forms import Asked, asked, place, written
from portal.admin.audit.sentences import lines
from portal.audit import actions as audit
from portal.audit.queries import chain_state, entry_by_id, nouns, search
from portal.database import read_only
from portal.fragments import render
from portal.records.rules.files import line_of

blueprint = Blueprint("admin_audit", __name__, url_prefix="/admin/audit")
access.staff(blueprint, Permission.AUDIT_READ)

ENTRIES_AT_ONCE = 500
EXPORTED_AT_MOST = 100_000
"""Entries one CSV file holds; who needs more narrows the days."""

HEADERS = (
    "Id",
    "At (UTC)",
    "What happened",
    "Action",
    "Actor id",
    "Actor",
    "Address",
    "Request",
    "Object",
    "Object id",
    "Company id",
    "Before",
    "After",
    "Chain number",
    "Chain hash",
)


@blueprint.get("")
def trail() -> Response:
    """Entries, newest first, narrowed by what the address says; a page begins where the one before it ended."""
    wanted = _asked()
    try:
        found = None if wanted.problems else search(wanted.search, place(request.args.get("before", "")))
    except ValueError:
        abort(404)
    older = _address(wanted, written(found.older)) if found and found.older else None
    return render(
        "admin/audit/trail.html",
        "admin/audit/_trail.html",
        422 if wanted.problems else 200,
        asked=wanted,
        lines=lines(found.entries) if found else [],
        found=found,
        older=older,
        newest=_address(wanted) if request.args.get("before") else None,
        nouns=nouns(),
        chain=chain_state(),
        zone=access.signed_in().time_zone,
        may_export=may(access.signed_in().role, Permission.RECORDS_EXPORT),
    )


@blueprint.get("/<int:entry_id>")
def entry(entry_id: int) -> Response:
    """One entry, under an address that can be handed on."""
    found = entry_by_id(entry_id) or abort(404)
    return render("admin/audit/entry.html", "admin/audit/_entry.html", line=lines([found])[0])


@blueprint.post("/export")
def export() -> Response:
    """The entries of a search as CSV."""
    access.require(Permission.RECORDS_EXPORT)
    access.require_recent_password()
    wanted = asked(request.form, access.signed_in().time_zone)
    if wanted.problems:
        abort(422)
    now = clock.utcnow()
    audit.record(
        "audit.export",
        object_kind="audit",
        object_id=None,
        by=access.actor(),
        now=now,
        after={"search": dict(wanted.values)},
    )
    events.commit()
    read_only.set(True)
    response = Response(stream_with_context(_rows(wanted)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{now:%Y-%m-%d}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _address(wanted: Asked, before: str | None = None) -> str:
    values: dict[str, Any] = {**wanted.values, "before": before}
    return url_for("admin_audit.trail", **values)


def _asked() -> Asked:
    return asked(request.args, access.signed_in().time_zone)


def _rows(wanted: Asked) -> Iterator[str]:
    yield line_of(HEADERS)
    before, written_so_far = None, 0
    while written_so_far < EXPORTED_AT_MOST:
        found = search(wanted.search, before, ENTRIES_AT_ONCE)
        for line in lines(found.entries):
            each = line.entry
            yield line_of(
                [
                    str(each.id),
                    each.at.isoformat(timespec="seconds"),
                    line.sentence,
                    each.action,
                    _text(each.actor_id),
                    each.actor,
                    each.ip or "",
                    each.request_id or "",
                    each.object_kind,
                    _text(each.object_id),
                    _text(each.company_id),
                    json.dumps(each.before, ensure_ascii=False) if each.before else "",
                    json.dumps(each.after, ensure_ascii=False) if each.after else "",
                    _text(each.chain_no),
                    each.chain_hash or "",
                ]
            )
        written_so_far += len(found.entries)
        before = found.older
        events.rollback()
        if before is None:
            return


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
