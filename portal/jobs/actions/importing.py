"""Bringing in jobs and quotes from the system a firm works with already, found again by their number there.

Nobody is mailed by an import. What a file says nothing of stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select

from portal import events
from portal.accounts.imports import COMPANY_COLUMN, before_and_after, companies_named
from portal.accounts.models import Membership, Person
from portal.accounts.rules import one_line, paragraphs, text_key
from portal.accounts.rules.imports import KnownCompanies, shortened
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.jobs.actions.items import LONGEST
from portal.jobs.actions.moves import create_item, lock_settings, move_many
from portal.jobs.actions.offers import freeze_if_sent
from portal.jobs.models import QuoteLine, WorkItem
from portal.jobs.queries import settings_of
from portal.jobs.rules import StatusRow, WorkKind, written_number
from portal.jobs.rules.amounts import (
    CURRENCIES,
    PRICE_AT_MOST,
    TAX_AT_MOST,
    LineGiven,
    line_net,
    money,
    read_number,
    totals,
    written,
)
from portal.language import TIME_ZONES
from portal.localtime import LocalTimeError, moment_of
from portal.records.bulk import insert_all, pieces, update_all
from portal.records.kinds import ImportKind, Moved, Option, register
from portal.records.rules import Verdict
from portal.records.rules.columns import Column
from portal.records.rules.judging import Change, Claims, Judged, Refusal, Row, refused, verdict_of

REASON = "Came with an import."

WRITTEN = ("title", "site", "description", "starts_at", "ends_at", "assignee_id", "contact_id", "holding_id")
"""What a row may say of an item beside its status and, for quotes, its last day."""


QUOTED = ("valid_until", "currency")
"""And of quotes."""


def _columns(kind: WorkKind) -> tuple[Column, ...]:
    one, example = kind.value, {WorkKind.JOB: "WO-20017", WorkKind.QUOTE: "EST-311"}[kind]
    quote = (
        Column(
            "valid_until",
            "Valid until",
            ("expires", "expiry", "valid to", "Gültig bis"),
            hint="The last day it can be accepted on, such as 2026-12-31.",
            examples=("2026-12-31", ""),
        ),
        Column(
            "net",
            "Amount before tax",
            ("net", "net amount", "net total", "amount", "subtotal", "price", "Betrag", "Netto", "Nettobetrag"),
            hint="Of the whole quote, such as 1,250.00. It becomes one line, called what the quote is called; the next "
            "file changes that line. A quote with several lines in the portal keeps them.",
            examples=("1,250.00", "480"),
        ),
        Column(
            "tax",
            "Tax",
            ("vat", "tax rate", "vat rate", "tax %", "vat %", "MwSt", "USt", "Steuersatz"),
            hint="Percent, such as 20. A new quote without it is untaxed.",
            examples=("20", "20"),
        ),
        Column(
            "currency",
            "Currency",
            ("currency code", "Währung"),
            hint=f"One of {', '.join(CURRENCIES)}. New ones without it are in GBP.",
            examples=("GBP", ""),
        ),
    )
    return (
        Column(
            "external_number",
            "Number",
            ("id", "number", "reference", f"{one} number", f"{one} id", "external number", "Nummer", "Auftragsnummer"),
            is_required=True,
            hint="What the other system calls it. By that it is found again.",
            examples=(example, f"{example}-2"),
        ),
        COMPANY_COLUMN,
        Column(
            "title",
            "Title",
            ("name", "subject", "summary", "what", "Titel", "Betreff"),
            is_required=True,
            examples=("Replace the router", "Survey for a fibre line"),
        ),
        Column(
            "status",
            "Status",
            ("state", "stage", "Zustand"),
            hint=f"The name of one of your {one} statuses. New ones without it are in the first, “Requested”.",
            examples=("", ""),
        ),
        Column(
            "site", "Site", ("address", "location", "Ort", "Adresse", "Einsatzort"), examples=("12 High Street", "")
        ),
        Column("description", "Description", ("details", "text", "notes", "Beschreibung"), examples=("", "")),
        Column(
            "starts_at",
            "From",
            ("start", "starts", "scheduled", "begin", "Beginn", "Termin", "von"),
            hint="Such as 2026-11-30 09:00, or with its own offset 2026-11-30T09:00+01:00.",
            examples=("2026-11-30 09:00", ""),
        ),
        Column("ends_at", "To", ("end", "ends", "finish", "Ende", "bis"), examples=("2026-11-30 11:00", "")),
        Column(
            "assignee",
            "Who does it",
            ("assignee", "assigned to", "engineer", "technician", "Techniker", "Bearbeiter"),
            hint="The e-mail address of one of the staff.",
        ),
        Column(
            "contact",
            "Contact",
            ("contact email", "customer contact", "Ansprechpartner"),
            hint="The e-mail address of somebody who acts for the company.",
        ),
        Column(
            "holding",
            "About",
            ("holding", "circuit", "service reference", "Leitung", "Vertrag"),
            hint="The reference of something the company holds.",
        ),
        *(quote if kind is WorkKind.QUOTE else ()),
    )


@dataclass(frozen=True)
class _Known:
    """What rows of a piece may speak of."""

    companies: KnownCompanies
    items: Mapping[str, WorkItem]
    staff: Mapping[str, int]
    members: Mapping[tuple[int, str], int]
    holdings: Mapping[tuple[int, str], int]
    lines: Mapping[int, Sequence[LineGiven]]


class WorkImport:
    """A file of jobs or quotes, row by row."""

    def __init__(self, kind: WorkKind, options: Mapping[str, str]) -> None:
        self.kind = kind
        self.zone: tzinfo = ZoneInfo(options.get("time_zone") or "UTC")
        self.claims = Claims()
        self.table = settings_of(kind).table
        self.statuses = {text_key(row.name): row for row in self.table.live}
        self.fields = [*WRITTEN, *(QUOTED if kind is WorkKind.QUOTE else ())]

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """What each row comes to; eight queries for a piece of a few hundred."""
        known = self._known(rows)
        return [self._judge(row, known) for row in rows]

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Make new items and change others; each that comes to another status moves as if somebody had moved it."""
        settings = lock_settings(self.kind)
        if settings.table.rows != self.table.rows:
            raise Moved
        ids = {}
        for each in judged:
            if each.verdict is Verdict.ADDED:
                ids[each.number] = create_item(self.kind, by=by, now=now, tell=False, **each.values).id
        changed = [each for each in judged if each.verdict is Verdict.CHANGED]
        self._change([each for each in changed if _is_edited(each)], by, now)
        self._move(changed, by, now)
        return ids | {each.number: each.row_id for each in changed if each.row_id}

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Staff look again; customers were rung for what is theirs."""
        events.ring(events.STAFF)

    def _change(self, changed: Sequence[Judged], by: Actor, now: datetime) -> None:
        found = {
            item.id: item
            for piece in pieces([each.row_id for each in changed if each.row_id])
            for item in db.session.scalars(
                select(WorkItem).where(WorkItem.id.in_(piece)).execution_options(populate_existing=True)
            )
        }
        rows = []
        for each in changed:
            item = found.get(each.row_id or 0)
            if item is None or item.version != each.version:
                raise Moved
            said = {field: getattr(item, field) for field in self.fields} | each.values["said"]
            rows.append(
                said
                | {
                    "id": item.id,
                    "version": item.version,
                    "title_key": text_key(said["title"])[:250],
                    "public_revision": item.public_revision + 1,
                }
            )
            if item.public_status_id is not None:
                number = written_number(self.kind, item.number)
                events.ring(events.company_topic(item.company_id), events.item_topic(self.kind.value, number))
        update_all(WorkItem, [*self.fields, "title_key", "public_revision"], rows)
        if self.kind is WorkKind.QUOTE:
            _price(changed)
            for item in found.values():
                db.session.refresh(item)
                freeze_if_sent(item, by_id=by.person_id, now=now)
        noted = []
        for each in changed:
            before, after = before_and_after(each)
            number = written_number(self.kind, found[each.row_id or 0].number)
            noted.append(Noted(each.row_id or 0, each.values["company_id"], before, {"number": number, **after}))
        audit.record_many(f"{self.kind.value}.edit", noted, object_kind=self.kind.value, by=by, now=now)

    def _move(self, changed: Sequence[Judged], by: Actor, now: datetime) -> None:
        """Those that come to another status, together for each."""
        moving: dict[int, dict[int, int]] = {}
        for each in changed:
            if each.values["status_id"] is not None and each.row_id and each.version:
                version = each.version + _is_edited(each)
                moving.setdefault(each.values["status_id"], {})[each.row_id] = version
        for status_id, versions in moving.items():
            for piece in pieces(list(versions)):
                move_many(
                    self.kind,
                    {item_id: versions[item_id] for item_id in piece},
                    status_id,
                    by=by,
                    now=now,
                    reason=REASON,
                    tell=False,
                )

    # What rows speak of

    def _known(self, rows: Sequence[Row]) -> _Known:
        names = [one_line(row.get("company")) for row in rows]
        companies = companies_named(names, names)
        ids = {each.id for each in (*companies.by_name.values(), *companies.by_external_id.values())}
        numbers = {one_line(row.get("external_number")) for row in rows} - {""}
        emails = {text_key(row.get(field)) for row in rows for field in ("assignee", "contact")} - {""}
        staff, members = _people(emails, ids)
        items = self._items(numbers)
        lines = _lines_of([item.id for item in items.values()]) if self.kind is WorkKind.QUOTE else {}
        return _Known(companies, items, staff, members, _holdings(ids), lines)

    def _items(self, numbers: set[str]) -> Mapping[str, WorkItem]:
        return {
            item.external_number or "": item
            for piece in pieces(numbers)
            for item in db.session.scalars(
                select(WorkItem)
                .where(WorkItem.kind == self.kind, WorkItem.external_number.in_(piece))
                .execution_options(populate_existing=True)
            )
        }

    # One row

    def _judge(self, row: Row, known: _Known) -> Judged:
        label = shortened(" · ".join(filter(None, (one_line(row.get(each)) for each in ("external_number", "title")))))
        try:
            return self._judged(row, known, label)
        except Refusal as refusal:
            return refused(row.number, label, refusal)

    def _judged(self, row: Row, known: _Known, label: str) -> Judged:
        number, title = one_line(row.get("external_number")), one_line(row.get("title"))
        for text, what in ((number, "number"), (one_line(row.get("company")), "company"), (title, "title")):
            if not text:
                raise Refusal(f"the {what} is missing")
        company = known.companies.meant_by(one_line(row.get("company")))
        self.claims.claim(row.number, f"the {self.kind.value} {shortened(number)}", number)
        item = known.items.get(number)
        if item is not None and item.company_id != company.id:
            written = written_number(self.kind, item.number)
            raise Refusal(f"{written} has this number and is of another company, which an import never changes")
        status = self._status(row.get("status"))
        said = self._said(row, company.id, known)
        self._check_window(item, said)
        stood = known.lines.get(item.id, ()) if item else ()
        line = self._line(row, title, item, stood) if self.kind is WorkKind.QUOTE else None
        if item is None:
            values = {"company_id": company.id, "external_number": number, **said, "lines": [line] if line else []}
            return Judged(
                row.number, Verdict.ADDED, label, values=values | {"status_id": status.id if status else None}
            )
        different = {field: value for field, value in said.items() if getattr(item, field) != value}
        changes = [
            Change(_LABELS[field], _words(getattr(item, field)), _words(value)) for field, value in different.items()
        ]
        if line is not None:
            changes += _repriced(stood[0] if stood else None, line, said.get("currency", item.currency))
        moves = status is not None and status.id != item.status_id
        if moves and status is not None:
            changes.append(Change("Status", self.table.by_id[item.status_id].name, status.name))
        return Judged(
            row.number,
            verdict_of(item.id, changes),
            label,
            changes=tuple(changes),
            row_id=item.id,
            version=item.version,
            values={
                "company_id": company.id,
                "said": different,
                "line": line,
                "status_id": status.id if moves and status is not None else None,
            },
        )

    def _status(self, text: str) -> StatusRow | None:
        if not one_line(text):
            return None
        found = self.statuses.get(text_key(text))
        if found is None:
            offered = ", ".join(row.name for row in self.table.live)
            raise Refusal(f"there is no status called {shortened(one_line(text))}; these are in use: {offered}")
        return found

    def _said(self, row: Row, company_id: int, known: _Known) -> dict[str, Any]:
        """The fields a row says something of, as they are stored."""
        said: dict[str, Any] = {
            "title": one_line(row.get("title")),
            "site": one_line(row.get("site")),
            "description": paragraphs(row.get("description")),
        }
        for field, text in said.items():
            if len(text) > LONGEST[field]:
                raise Refusal(f"the {field} is longer than {LONGEST[field]:,} characters")
        if len(row.get("external_number")) > LONGEST["external_number"]:
            raise Refusal(f"the number is longer than {LONGEST['external_number']} characters")
        said |= {field: self._moment(row.get(field)) for field in ("starts_at", "ends_at")}
        said["assignee_id"] = _one_of(known.staff, text_key(row.get("assignee")), "of the staff", row.get("assignee"))
        said["contact_id"] = _one_of(
            known.members, (company_id, text_key(row.get("contact"))), "of this company", row.get("contact")
        )
        said["holding_id"] = _one_of(
            known.holdings, (company_id, text_key(row.get("holding"))), "held by this company", row.get("holding")
        )
        if self.kind is WorkKind.QUOTE:
            said["valid_until"] = _day(row.get("valid_until"))
            said["currency"] = _currency(row.get("currency"))
        return {field: value for field, value in said.items() if value not in {None, ""}}

    def _line(self, row: Row, title: str, item: WorkItem | None, stood: Sequence[LineGiven]) -> LineGiven | None:
        """The one line a quote is to have; None where a row says nothing of it, or what stands there already."""
        net = _figure(row.get("net"), PRICE_AT_MOST, "no amount such as 1,250.00")
        tax = _figure(row.get("tax"), TAX_AT_MOST, "no percentage such as 20")
        if net is None and tax is None:
            return None
        is_told = (net is None or totals(stood).net == net) and all(
            tax in {None, each.tax_hundredths} for each in stood
        )
        if stood and is_told:
            return None
        if len(stood) > 1 and item is not None:
            written = written_number(self.kind, item.number)
            raise Refusal(
                f"{written} has {len(stood)} lines, which an import does not replace; change them there, "
                "or leave amount and tax empty"
            )
        if not stood:
            if net is None:
                raise Refusal("it says a tax and no amount")
            return LineGiven(title, unit_price_minor=net, tax_hundredths=tax or 0)
        line = stood[0] if net is None else replace(stood[0], quantity_thousandths=1000, unit_price_minor=net)
        return line if tax is None else replace(line, tax_hundredths=tax)

    def _moment(self, text: str) -> datetime | None:
        typed = one_line(text)
        if not typed:
            return None
        try:
            moment = datetime.fromisoformat(typed)
            return moment.astimezone(UTC) if moment.tzinfo else moment_of(moment, self.zone)
        except LocalTimeError as refused_time:
            raise Refusal(f"{shortened(typed)} cannot be taken: {str(refused_time).rstrip('.')}") from refused_time
        except (ValueError, OverflowError) as nonsense:
            raise Refusal(f"{shortened(typed)} is no time such as 2026-11-30 09:00") from nonsense

    @staticmethod
    def _check_window(item: WorkItem | None, said: Mapping[str, Any]) -> None:
        start = said.get("starts_at", item.starts_at if item else None)
        end = said.get("ends_at", item.ends_at if item else None)
        if end and not start:
            raise Refusal("it says when it ends and not when it begins")
        if start and end and end < start:
            raise Refusal("its end lies before its beginning")


def _is_edited(each: Judged) -> bool:
    """Whether more is different than where it stands."""
    return bool(each.values["said"]) or each.values["line"] is not None


def _price(changed: Sequence[Judged]) -> None:
    """Give quotes the line that was read for them in place of the one there is."""
    lines = {each.row_id: each.values["line"] for each in changed if each.row_id and each.values["line"] is not None}
    for piece in pieces(list(lines)):
        db.session.execute(delete(QuoteLine).where(QuoteLine.item_id.in_(piece)))
    insert_all(QuoteLine, [{"item_id": item_id, "position": 0, **asdict(line)} for item_id, line in lines.items()])


def _repriced(before: LineGiven | None, after: LineGiven, currency: str) -> list[Change]:
    """What becomes different of the line of a quote, as a dry run shows it."""
    found = [
        (
            "Amount before tax",
            money(line_net(before), currency) if before else "",
            money(line_net(after), currency),
        ),
        ("Tax", _percent(before.tax_hundredths) if before else "", _percent(after.tax_hundredths)),
    ]
    return [Change(label, was, is_now) for label, was, is_now in found if was != is_now]


def _percent(hundredths: int) -> str:
    return f"{written(hundredths, 2)} %"


_LABELS = {
    "title": "Title",
    "site": "Site",
    "description": "Description",
    "starts_at": "From",
    "ends_at": "To",
    "assignee_id": "Who does it",
    "contact_id": "Contact",
    "holding_id": "About",
    "valid_until": "Valid until",
    "currency": "Currency",
}


def _words(value: Any) -> str:
    """A value as a dry run shows it; people and holdings by their number, as the trail has them."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return shortened(str(value))


def _one_of(found: Mapping[Any, int], key: Any, what: str, text: str) -> int | None:
    """What a cell means, None where it says nothing; Refusal for what is not there."""
    if not one_line(text):
        return None
    if key not in found:
        raise Refusal(f"{shortened(one_line(text))} is not {what}")
    return found[key]


def _day(text: str) -> date | None:
    typed = one_line(text)
    if not typed:
        return None
    try:
        return date.fromisoformat(typed)
    except ValueError as nonsense:
        raise Refusal(f"{shortened(typed)} is no day such as 2026-12-31") from nonsense


def _figure(text: str, most: int, otherwise: str) -> int | None:
    """An amount or a percentage in hundredths, None where a cell says nothing; Refusal for what is none."""
    typed = one_line(text)
    if not typed:
        return None
    value = read_number(typed, 2)
    if value is None:
        raise Refusal(f"{shortened(typed)} is {otherwise}")
    if not 0 <= value <= most:
        raise Refusal(f"{shortened(typed)} is not between 0 and {written(most, 2)}")
    return value


def _currency(text: str) -> str | None:
    typed = one_line(text).upper()
    if typed and typed not in CURRENCIES:
        raise Refusal(f"{shortened(typed)} is none of the currencies quotes are written in: {', '.join(CURRENCIES)}")
    return typed or None


def _lines_of(item_ids: Sequence[int]) -> dict[int, list[LineGiven]]:
    """The lines these quotes have, in their order. One query for a few hundred."""
    found: dict[int, list[LineGiven]] = {}
    for piece in pieces(item_ids):
        wanted = select(QuoteLine).where(QuoteLine.item_id.in_(piece)).order_by(QuoteLine.position, QuoteLine.id)
        for each in db.session.scalars(wanted):
            line = LineGiven(each.description, each.quantity_thousandths, each.unit_price_minor, each.tax_hundredths)
            found.setdefault(each.item_id, []).append(line)
    return found


def _people(emails: set[str], company_ids: set[int]) -> tuple[dict[str, int], dict[tuple[int, str], int]]:
    """Staff by address, and who acts for these companies by company and address; two queries for a few hundred."""
    staff: dict[str, int] = {}
    members: dict[tuple[int, str], int] = {}
    for piece in pieces(emails):
        for person_id, email in db.session.execute(
            select(Person.id, Person.email_key).where(
                Person.email_key.in_(piece), Person.role.is_not(None), Person.deactivated_at.is_(None)
            )
        ):
            staff[email] = person_id
        for company_id, email, person_id in db.session.execute(
            select(Membership.company_id, Person.email_key, Person.id)
            .join(Person, Person.id == Membership.person_id)
            .where(Person.email_key.in_(piece), Membership.company_id.in_(company_ids))
        ):
            members[company_id, email] = person_id
    return staff, members


def _holdings(company_ids: set[int]) -> dict[tuple[int, str], int]:
    """What these companies hold now, by company and reference. One query for a few hundred."""
    found: dict[tuple[int, str], int] = {}
    for piece in pieces(company_ids):
        for company_id, key, holding_id in db.session.execute(
            select(Holding.company_id, Holding.reference_key, Holding.id)
            .where(Holding.company_id.in_(piece), Holding.valid_to.is_(None), Holding.reference_key != "")
            .order_by(Holding.id.desc())
        ):
            found[company_id, key] = holding_id
    return found


def _zones_offered() -> list[tuple[str, str]]:
    first = [zone for zone in TIME_ZONES if zone[0] == "Europe/London"]
    return [*first, *(zone for zone in TIME_ZONES if zone not in first)]


def _register(kind: WorkKind, title: str, many: str, place: int) -> None:
    register(
        ImportKind(
            many,
            title,
            kind.value,
            many,
            f"One row for each {kind.value}, found again by its number in the system it comes from.",
            _columns(kind),
            lambda options: WorkImport(kind, options),
            options=(Option("time_zone", "Time zone", "Of times that name none.", _zones_offered),),
            place=place,
        )
    )


_register(WorkKind.JOB, "Jobs", "jobs", 60)
_register(WorkKind.QUOTE, "Quotes", "quotes", 70)
