"""What jobs and quotes have in common over the API.

A company's token reads through `portal.jobs.queries.public` alone, as its people do; staff read the rows beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

from portal import access, clock
from portal.accounts.queries.listings import company_by_id
from portal.api.v1.jobs.shapes import STAFF_FILTERS
from portal.api.v1.operations import wanted
from portal.api.v1.requests import Refusal, expected_version
from portal.errors import NotFound, RuleViolation
from portal.files import subjects
from portal.files.subjects import Ref
from portal.jobs import queries
from portal.jobs.actions import move, move_many
from portal.jobs.actions.items import Facts, edit_item
from portal.jobs.actions.matching import Beside, add_whole, facts_of, put_item
from portal.jobs.actions.moves import Moved, Outcome
from portal.jobs.models import WorkItem
from portal.jobs.queries.items import past_moves
from portal.jobs.queries.listings import item_numbered, items_numbered, work
from portal.jobs.queries.public import (
    NUMBER_ORDERS,
    PublicBadge,
    PublicItem,
    PublicLine,
    badge_of,
    public_item,
    public_piece,
    shown_status,
)
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import StatusTable, WorkKind, written_number
from portal.jobs.rules.amounts import LineGiven
from portal.jobs.subjects import ref_of
from portal.keyset import Piece
from portal.messages.actions import settle
from portal.messages.queries import waiting_among

STAFF_NAMES = (
    "id",
    "external_number",
    "company_id",
    "contact_id",
    "assignee_id",
    "booked_by_id",
    "status_id",
    "status_since",
    "created_at",
    "finished_at",
    "version",
)

FACTS = {field.name for field in fields_of(Facts)}

LINE_FIELDS = {
    "description": "description",
    "quantity": "quantity_thousandths",
    "price": "unit_price_minor",
    "tax": "tax_hundredths",
}
"""What the parts of a line are called here, by what forms call them."""


def listed(kind: WorkKind, query: dict[str, Any]) -> Piece[Any]:
    """A piece of the list, as whoever asks sees it."""
    piece = wanted(query, NUMBER_ORDERS)
    text, key, is_open = query.get("q"), query.get("status"), query.get("open")
    company_id = access.viewpoint().company_id
    if company_id is not None:
        _refuse_staff_filters(query)
        today = today_of(company_id, clock.utcnow())
        lines = public_piece(kind, company_id, today, piece, key=key, text=text, is_open=is_open)
        return Piece([public_line(line) for line in lines.items], lines.next)
    table = queries.settings_of(kind).table
    found = work(
        table,
        piece,
        text=text,
        key=key,
        is_open=is_open,
        status_id=query.get("status_id"),
        company_id=query.get("company_id"),
        assignee_id=query.get("assignee_id"),
        external_number=query.get("external_number"),
        is_waiting=query.get("waiting"),
    )
    return Piece(_staff_lines(found.items, table), found.next)


def _refuse_staff_filters(query: Mapping[str, Any]) -> None:
    named = [name for name in STAFF_FILTERS if name in query]
    if named:
        sentence = "A company’s token has no such filter."
        raise Refusal(422, sentence, [{"detail": sentence, "parameter": name} for name in named])


def public_view(kind: WorkKind, number: str) -> PublicItem | None:
    """The item as its company sees it; None for staff where it is not in the portal, 404 for whoever has no other."""
    company_id = access.viewpoint().company_id
    owner_id = item_of(kind, number).company_id if company_id is None else company_id
    found = public_item(kind, owner_id, number, today_of(owner_id, clock.utcnow()))
    if found is None and company_id is not None:
        raise NotFound
    return found


def whole(kind: WorkKind, number: str, seen: PublicItem | None) -> dict[str, Any]:
    """One item: all its company sees, and for staff the rest."""
    shown: dict[str, Any] = {"changes": []}
    if seen is not None:
        changes = [{"at": change.at, "status": _badge(change.badge)} for change in seen.changes]
        shown = public_line(seen.line) | {"description": seen.description, "changes": changes}
    if not access.viewpoint().is_staff:
        return shown
    item, table = item_of(kind, number), queries.settings_of(kind).table
    moves = [
        {
            "at": each.at,
            "status_id": each.status_id,
            "status_name": table.by_id[each.status_id].name,
            "reason": each.reason,
            "told": each.told_name,
        }
        for each in past_moves(item)
    ]
    return {**shown, **_staff_lines([item], table)[0], "description": item.description, "moves": moves}


def ref_seen(kind: WorkKind, number: str) -> Ref:
    """What files and messages know an item by; NotFound where it is not there for whoever asks."""
    ref = subjects.found(kind.value, number)
    if ref is None or subjects.seen(access.viewpoint(), ref) is None:
        raise NotFound
    return ref


def item_of(kind: WorkKind, number: str) -> WorkItem:
    """The row, for staff."""
    found = item_numbered(kind, number)
    if found is None or not access.viewpoint().is_staff:
        raise NotFound
    return found


def made(kind: WorkKind, body: dict[str, Any]) -> str:
    """Make an item; its number."""
    _check_company(body["company_id"])
    facts = Facts(**{name: value for name, value in body.items() if name in FACTS})
    try:
        added = add_whole(kind, body["company_id"], facts, _beside(body), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        raise here(violation) from None
    return written_number(kind, added.number)


def changed(kind: WorkKind, number: str, body: dict[str, Any]) -> None:
    """Change what an item says, as far as the body names it."""
    item = item_of(kind, number)
    version = expected_version(item.version)
    try:
        edit_item(item, replace(facts_of(item), **body), version=version, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        raise here(violation) from None


def moved(kind: WorkKind, number: str, body: dict[str, Any]) -> None:
    """Move an item to another work status."""
    item = item_of(kind, number)
    try:
        move(
            item,
            body["status_id"],
            reason=body["reason"],
            tell=body["notify"],
            version=expected_version(item.version),
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        raise here(violation) from None


def moved_many(kind: WorkKind, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Move many items to one work status; what became of each, in the order given."""
    found = items_numbered(kind, [each["number"] for each in body["items"]])
    versions: dict[int, int] = {}
    for place, each in enumerate(body["items"]):
        item = found.get(each["number"])
        if item is not None and item.id in versions:
            raise RuleViolation("This one stands in the list twice.", f"items/{place}/number")
        if item is not None:
            versions[item.id] = each["version"] or item.version
    try:
        moved = move_many(
            kind,
            versions,
            body["status_id"],
            reason=body["reason"],
            tell=body["notify"],
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        raise here(violation) from None
    became = {each.item_id: each for each in moved}
    results = []
    for each in body["items"]:
        item = found.get(each["number"])
        result = Moved(0, "", Outcome.MISSING, f"There is no such {kind.value}.") if item is None else became[item.id]
        results.append(
            {
                "number": each["number"],
                "outcome": result.outcome,
                "detail": result.sentence,
                "version": item.version if item else None,
            }
        )
    return results


def settled(kind: WorkKind, number: str) -> None:
    """Nobody waits for an answer any more to what was written about an item."""
    settle(ref_of(item_of(kind, number)), by=access.actor(), now=clock.utcnow())


def put(kind: WorkKind, body: dict[str, Any]) -> tuple[str, bool]:
    """Make the item another system tells of, or change it; its number, and whether it is new."""
    _check_company(body["company_id"])
    said = {name: value for name, value in body.items() if name in FACTS and name != "external_number"}
    try:
        item, is_new = put_item(
            kind,
            body["company_id"],
            body["external_number"],
            said,
            _beside(body),
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        raise here(violation) from None
    return written_number(kind, item.number), is_new


def lines_given(lines: Sequence[Mapping[str, Any]] | None) -> list[LineGiven] | None:
    """Lines as the action takes them."""
    return None if lines is None else [LineGiven(**line) for line in lines]


def here(violation: RuleViolation) -> RuleViolation:
    """The refusal beside what the field is called here."""
    field = violation.field or ""
    if of_line := re.fullmatch(r"(\w+)-(\d+)", field):
        return RuleViolation(violation.sentence, f"lines/{of_line[2]}/{LINE_FIELDS[of_line[1]]}")
    return RuleViolation(violation.sentence, {"status": "status_id"}.get(field, violation.field))


def _beside(body: Mapping[str, Any]) -> Beside:
    return Beside(
        status_id=body.get("status_id"),
        reason=body.get("reason", ""),
        lines=lines_given(body.get("lines")),
        tell=body["notify"],
    )


def _check_company(company_id: int) -> None:
    found = company_by_id(company_id)
    if found is None or found.archived_at is not None:
        raise RuleViolation("There is no such company, or it is archived.", "company_id")


def public_line(line: PublicLine) -> dict[str, Any]:
    """What a list says of an item to its company."""
    shown = {
        "number": line.number,
        "title": line.title,
        "site": line.site,
        "starts_at": line.starts_at,
        "ends_at": line.ends_at,
        "holding_id": line.holding_id,
        "public_status": _badge(line.badge),
        "public_since": line.since,
        "open": line.is_open,
    }
    return shown | ({"waiting": line.is_waiting} if line.kind is WorkKind.QUOTE else {})


def _staff_lines(items: Sequence[WorkItem], table: StatusTable) -> list[dict[str, Any]]:
    waits = waiting_among(table.kind.value, [item.id for item in items]) if items else {}
    lines = []
    for item in items:
        line = {name: getattr(item, name) for name in STAFF_NAMES} | {
            "number": written_number(item.kind, item.number),
            "title": item.title,
            "site": item.site,
            "starts_at": item.starts_at,
            "ends_at": item.ends_at,
            "holding_id": item.holding_id,
            "public_since": item.public_since,
            "open": item.finished_at is None,
            "status_name": table.by_id[item.status_id].name,
            "waits_since": waits.get(item.id),
        }
        if item.public_status_id is not None:
            line["public_status"] = _badge(badge_of(shown_status(table, item.public_status_id)))
        lines.append(line)
    return lines


def _badge(badge: PublicBadge) -> dict[str, str]:
    return {"key": badge.key, "name": badge.name, "color": badge.color, "text_color": badge.text_color}
