"""Jobs and quotes that another system knows: made the first time it tells of one, and changed every time after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.accounts.rules import one_line
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.jobs.actions.items import Facts, add_item, edit_item, set_lines
from portal.jobs.actions.moves import hold_numbers, lock_settings, move
from portal.jobs.models import WorkItem
from portal.jobs.rules import Role, WorkKind, written_number
from portal.jobs.rules.amounts import LineGiven


@dataclass(frozen=True)
class Beside:
    """What is told of an item beside its facts: the status it is in, why it comes to it, and the lines of a quote.

    None keeps what is there. With `tell` customers are mailed as if somebody of the staff had done it.
    """

    status_id: int | None = None
    reason: str = ""
    lines: Sequence[LineGiven] | None = None
    tell: bool = True


def facts_of(item: WorkItem) -> Facts:
    """What an item says now."""
    return Facts(**{field.name: getattr(item, field.name) for field in fields(Facts)})


def add_whole(kind: WorkKind, company_id: int, facts: Facts, beside: Beside, *, by: Actor, now: datetime) -> WorkItem:
    """Make an item with all that is told of it; RuleViolation as `add_item`, `set_lines` and `move` give it.

    A quote is sent once its lines stand: what its customer is offered first is never an empty one.
    """
    is_sent = bool(beside.lines) and _is_sent(kind, beside.status_id)
    table = lock_settings(kind).table
    first = table.with_role(Role.DRAFT).id if is_sent else beside.status_id
    item = add_item(kind, company_id, facts, status_id=first, tell=beside.tell and not is_sent, by=by, now=now)
    if beside.lines:
        set_lines(item, beside.lines, version=item.version, by=by, now=now)
    if is_sent and beside.status_id:
        move(item, beside.status_id, reason=beside.reason, tell=beside.tell, by=by, now=now)
    return item


def put_item(
    kind: WorkKind,
    company_id: int,
    external_number: str,
    said: Mapping[str, Any],
    beside: Beside,
    *,
    by: Actor,
    now: datetime,
) -> tuple[WorkItem, bool]:
    """The item another system calls `external_number`, as it is told of here, and whether it is new.

    `said` has fields of `Facts`, the title among them; what it does not name stays. Two that tell of the same number at
    once come one after the other, so it is one item. RuleViolation where it is of another company.
    """
    number = one_line(external_number)
    if not number:
        raise RuleViolation("Say what the other system calls it.", "external_number")
    hold_numbers(kind)
    item = db.session.scalars(
        select(WorkItem)
        .where(WorkItem.kind == kind, WorkItem.external_number == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if item is None:
        facts = Facts(**{**said, "external_number": number})
        return add_whole(kind, company_id, facts, beside, by=by, now=now), True
    if item.company_id != company_id:
        sentence = (
            f"{written_number(kind, item.number)} has this number and is of another company, which never changes."
        )
        raise RuleViolation(sentence, "company_id")
    edit_item(item, replace(facts_of(item), **said), version=item.version, by=by, now=now)
    if beside.lines is not None:
        set_lines(item, beside.lines, version=item.version, by=by, now=now)
    if beside.status_id not in {None, item.status_id}:
        move(item, beside.status_id or 0, reason=beside.reason, tell=beside.tell, by=by, now=now)
    return item, False


def _is_sent(kind: WorkKind, status_id: int | None) -> bool:
    return kind is WorkKind.QUOTE and status_id == lock_settings(kind).table.with_role(Role.SENT).id
