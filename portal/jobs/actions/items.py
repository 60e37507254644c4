"""Changing what an item says: its facts, who does it, and the lines of a quote. Its status is `actions.moves`' part."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select

from portal import events
from portal.accounts.models import Membership, Person
from portal.accounts.rules import one_line, paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.catalogue.models import Holding
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.jobs.actions.moves import (
    SITE_LENGTH,
    TEXT_LENGTH,
    TITLE_LENGTH,
    Moved,
    Outcome,
    create_item,
    hold_numbers,
    made_before,
)
from portal.jobs.actions.offers import freeze_if_sent
from portal.jobs.models import QuoteLine, WorkItem
from portal.jobs.rules import WorkKind, written_number
from portal.jobs.rules.amounts import (
    CURRENCIES,
    LINES_AT_MOST,
    PRICE_AT_MOST,
    QUANTITY_AT_MOST,
    TAX_AT_MOST,
    LineGiven,
    line_net,
    totals,
)

LONGEST = {
    "title": TITLE_LENGTH,
    "site": SITE_LENGTH,
    "external_number": 120,
    "description": TEXT_LENGTH,
    "terms": TEXT_LENGTH,
}
"""Characters of what is typed of an item."""

LINE_LENGTH = 500

PUBLIC_FIELDS = frozenset(
    {"title", "site", "description", "holding_id", "starts_at", "ends_at", "valid_until", "terms", "currency"}
)
"""What customers read of an item beside its status: a change of any of it is a change of what they see."""


@dataclass(frozen=True)
class Facts:
    """What staff say of an item. The last three only matter for quotes."""

    title: str
    contact_id: int | None = None
    site: str = ""
    holding_id: int | None = None
    description: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    assignee_id: int | None = None
    external_number: str | None = None
    valid_until: date | None = None
    terms: str = ""
    currency: str = "GBP"


def add_item(
    kind: WorkKind,
    company_id: int,
    facts: Facts,
    *,
    by: Actor,
    now: datetime,
    status_id: int | None = None,
    idempotency_key: str | None = None,
    tell: bool = True,
) -> WorkItem:
    """Make an item as staff do, everything checked; RuleViolation says beside which field it is refused.

    With an `idempotency_key` that was used before, the item it made then is the answer.
    """
    # Of two that are added at once the second waits here, and finds what the first has made or has called its own.
    hold_numbers(kind)
    if idempotency_key and (there := made_before(idempotency_key)):
        return there
    known = _checked(kind, company_id, facts)
    return create_item(
        kind,
        company_id=company_id,
        by=by,
        now=now,
        status_id=status_id,
        idempotency_key=idempotency_key,
        tell=tell,
        **known,
    )


def edit_item(item: WorkItem, facts: Facts, *, version: int, by: Actor, now: datetime) -> bool:
    """Change what an item says; whether anything was different. StaleEdit when it was changed since `version`.

    Its company stays: files and messages of one company never become those of another.
    """
    if item.version != version:
        raise StaleEdit
    if facts.external_number:
        # Two that are given one number at once: the second waits here, and finds it taken.
        hold_numbers(item.kind)
    known = _checked(item.kind, item.company_id, facts, item)
    changed = {name: value for name, value in known.items() if getattr(item, name) != value}
    if not changed:
        return False
    before = {name: _told(getattr(item, name)) for name in changed}
    for name, value in changed.items():
        setattr(item, name, value)
    if PUBLIC_FIELDS & changed.keys():
        _show_anew(item)
    db.session.flush()
    after = {"number": written_number(item.kind, item.number)} | {name: _told(changed[name]) for name in changed}
    _note(item, "edit", before, after, by=by, now=now)
    freeze_if_sent(item, by_id=by.person_id, now=now)
    return True


def set_lines(item: WorkItem, lines: Sequence[LineGiven], *, version: int, by: Actor, now: datetime) -> bool:
    """Replace the lines of a quote; whether anything was different. StaleEdit when it was changed since `version`.

    RuleViolation names a field as `description-2` for the third line.
    """
    if item.kind is not WorkKind.QUOTE:
        raise RuleViolation("Only quotes have lines.")
    if item.version != version:
        raise StaleEdit
    wanted = _checked_lines(lines)
    present = db.session.scalars(
        select(QuoteLine).where(QuoteLine.item_id == item.id).order_by(QuoteLine.position, QuoteLine.id)
    ).all()
    stood = [
        LineGiven(each.description, each.quantity_thousandths, each.unit_price_minor, each.tax_hundredths)
        for each in present
    ]
    if stood == wanted:
        return False
    db.session.execute(delete(QuoteLine).where(QuoteLine.item_id == item.id))
    db.session.expire(item, ["lines"])
    db.session.add_all(QuoteLine(item_id=item.id, position=place, **asdict(line)) for place, line in enumerate(wanted))
    _show_anew(item)
    db.session.flush()
    _note(
        item,
        "price",
        {"lines": len(stood), "total": totals(stood).gross},
        {
            "number": written_number(item.kind, item.number),
            "lines": len(wanted),
            "total": totals(wanted).gross,
            "currency": item.currency,
        },
        by=by,
        now=now,
    )
    freeze_if_sent(item, by_id=by.person_id, now=now)
    return True


def assign_many(
    kind: WorkKind, versions: Mapping[int, int], assignee_id: int | None, *, by: Actor, now: datetime
) -> list[Moved]:
    """Give many items, by id with the version each had when it was chosen, to somebody, or to nobody.

    What became of each, in that order; those that were changed meanwhile do not hold back the others.
    """
    name = _assignee(assignee_id)
    found = {
        item.id: item
        for item in db.session.scalars(
            select(WorkItem)
            .where(WorkItem.kind == kind, WorkItem.id.in_(versions))
            .order_by(WorkItem.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    results, given = [], []
    for item_id, version in versions.items():
        item = found.get(item_id)
        number = written_number(kind, item.number) if item else ""
        if item is None:
            results.append(Moved(item_id, "", Outcome.MISSING, "It is not there any more."))
        elif item.version != version:
            results.append(Moved(item_id, number, Outcome.STALE, "Somebody else changed it in the meantime."))
        elif item.assignee_id == assignee_id:
            results.append(Moved(item_id, number, Outcome.UNCHANGED))
        else:
            given.append(
                Noted(
                    item.id,
                    item.company_id,
                    {"assignee_id": item.assignee_id},
                    {"number": number, "to": name or "nobody"},
                )
            )
            item.assignee_id = assignee_id
            results.append(Moved(item_id, number, Outcome.MOVED))
    db.session.flush()
    if given:
        audit.record_many(f"{kind.value}.assign", given, object_kind=kind.value, by=by, now=now)
        events.ring(events.STAFF)
    return results


def _checked(kind: WorkKind, company_id: int, facts: Facts, item: WorkItem | None = None) -> dict[str, Any]:
    """The facts as they are stored; RuleViolation for the first that cannot stand.

    People and holdings that an item has already may stay, whatever has become of them since.
    """
    texts = _texts(facts)
    _check_window(facts)
    if facts.currency not in CURRENCIES:
        raise RuleViolation("Choose a currency of the list.", "currency")
    _check_belongs(company_id, facts, item)
    if item is None or facts.assignee_id != item.assignee_id:
        _assignee(facts.assignee_id)
    if texts["external_number"]:
        _check_external(kind, texts["external_number"], item)
    is_quote = kind is WorkKind.QUOTE
    return {
        **texts,
        "external_number": texts["external_number"] or None,
        "contact_id": facts.contact_id,
        "holding_id": facts.holding_id,
        "starts_at": facts.starts_at,
        "ends_at": facts.ends_at,
        "assignee_id": facts.assignee_id,
        "valid_until": facts.valid_until if is_quote else None,
        "terms": texts["terms"] if is_quote else "",
        "currency": facts.currency,
    }


def _texts(facts: Facts) -> dict[str, str]:
    texts = {
        "title": one_line(facts.title),
        "site": one_line(facts.site),
        "external_number": one_line(facts.external_number or ""),
        "description": paragraphs(facts.description),
        "terms": paragraphs(facts.terms),
    }
    if not texts["title"]:
        raise RuleViolation("Give it a title.", "title")
    for field, text in texts.items():
        if len(text) > LONGEST[field]:
            raise RuleViolation(f"At most {LONGEST[field]:,} characters, please.", field)
    return texts


def _check_window(facts: Facts) -> None:
    if facts.ends_at and not facts.starts_at:
        raise RuleViolation("Say when it begins, too.", "starts_at")
    if facts.starts_at and facts.ends_at and facts.ends_at < facts.starts_at:
        raise RuleViolation("The end of the window lies before its beginning.", "ends_at")


def _check_belongs(company_id: int, facts: Facts, item: WorkItem | None) -> None:
    """The contact acts for the company, and the holding is its own."""
    if facts.contact_id is not None and (item is None or facts.contact_id != item.contact_id):
        acts = select(Membership.id).where(
            Membership.company_id == company_id, Membership.person_id == facts.contact_id
        )
        if db.session.scalar(acts) is None:
            raise RuleViolation("Choose somebody who acts for this company.", "contact_id")
    if facts.holding_id is not None and (item is None or facts.holding_id != item.holding_id):
        held = select(Holding.id).where(Holding.company_id == company_id, Holding.id == facts.holding_id)
        if db.session.scalar(held) is None:
            raise RuleViolation("Choose something this company holds.", "holding_id")


def _check_external(kind: WorkKind, external: str, item: WorkItem | None) -> None:
    taken = db.session.execute(
        select(WorkItem.id, WorkItem.number).where(WorkItem.kind == kind, WorkItem.external_number == external)
    ).one_or_none()
    if taken is not None and (item is None or taken.id != item.id):
        sentence = f"{written_number(kind, taken.number)} has this number of the other system already."
        raise RuleViolation(sentence, "external_number")


def _assignee(person_id: int | None) -> str:
    """The name of whoever is to do it; RuleViolation for somebody who is not, or no longer, of the staff."""
    if person_id is None:
        return ""
    person = db.session.get(Person, person_id)
    if person is None or person.role is None or person.deactivated_at is not None:
        raise RuleViolation("Choose somebody of the staff.", "assignee_id")
    return person.name


def _checked_lines(lines: Sequence[LineGiven]) -> list[LineGiven]:
    if len(lines) > LINES_AT_MOST:
        raise RuleViolation(f"A quote has at most {LINES_AT_MOST} lines.")
    checked = [_checked_line(line, place) for place, line in enumerate(lines)]
    if abs(sum(line_net(line) for line in checked)) > PRICE_AT_MOST * LINES_AT_MOST:
        raise RuleViolation("All lines together come to more than can be reckoned with.")
    return checked


def _checked_line(line: LineGiven, place: int) -> LineGiven:
    description = one_line(line.description)
    for field, refused, sentence in (
        ("description", not description, "Say what it is."),
        ("description", len(description) > LINE_LENGTH, f"At most {LINE_LENGTH} characters, please."),
        ("quantity", not 0 <= line.quantity_thousandths <= QUANTITY_AT_MOST, "A quantity is from 0 to a million."),
        ("price", abs(line.unit_price_minor) > PRICE_AT_MOST, "A price is at most a hundred million."),
        ("tax", not 0 <= line.tax_hundredths <= TAX_AT_MOST, "A tax is from 0 to 100 %."),
    ):
        if refused:
            raise RuleViolation(sentence, f"{field}-{place}")
    return replace(line, description=description)


def _show_anew(item: WorkItem) -> None:
    """What its customer reads of it has changed: their forms are of an older state now, and their pages look again."""
    item.public_revision += 1
    if item.public_status_id is not None:
        number = written_number(item.kind, item.number)
        events.ring(events.company_topic(item.company_id), events.item_topic(item.kind.value, number))


def _note(
    item: WorkItem, verb: str, before: Mapping[str, Any], after: Mapping[str, Any], *, by: Actor, now: datetime
) -> None:
    audit.record(
        f"{item.kind.value}.{verb}",
        object_kind=item.kind.value,
        object_id=item.id,
        company_id=item.company_id,
        by=by,
        now=now,
        before=before,
        after=after,
    )
    events.ring(events.STAFF)


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
