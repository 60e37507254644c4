"""The only writer of calls and of what they come to.

Records and the sums made of them are one transaction, and the calls of one company are written by one transaction at a
time: what a figure says is always what all its calls come to. A batch that comes twice changes nothing the second time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Integer, String, bindparam, delete, or_, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import NullType

from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Service
from portal.errors import RuleViolation
from portal.extensions import db
from portal.usage import sources
from portal.usage.calls.models import CallBook, CallRecord, CallTally
from portal.usage.calls.queries import days_kept
from portal.usage.calls.rules import CALLS_AT_MOST, Call, CallStep, Outcome, instant, joined, milliseconds
from portal.usage.calls.rules.reading import Wrong, joined_refusal, read_lines, refusal, tail_of
from portal.usage.calls.rules.tallies import Ledger
from portal.usage.calls.tallying import TALLY_KEY, change
from portal.usage.given import given, is_sqlite, write
from portal.usage.models import SourceKind
from portal.usage.rules import Line, taken_from

WRONG_AT_MOST = 50
"""Records of a batch that are named when they are refused."""

SAID = (
    "call_id",
    "from_number",
    "to_number",
    "started_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "outcome",
    "code",
    "trunk",
    "carrier",
    "service_id",
)
"""The columns of a record that make a `Call`, in its order."""

RECORD = ("company_id", *SAID, "from_tail", "to_tail")
OUTCOME = SAID.index("outcome")


@dataclass(frozen=True)
class CallsTaken:
    """What came of a batch: records that told something new, and those that told nothing that was not known."""

    taken: int
    known: int


class BadCallsError(Exception):
    """Records of a batch that cannot be taken, by their place in it: the field, and why. Nothing was taken."""

    def __init__(self, wrong: Mapping[int, Wrong]) -> None:
        super().__init__(f"{len(wrong)} call records cannot be taken")
        self.wrong = wrong


def take_calls(batch: Sequence[tuple[int, Call]], now: datetime) -> CallsTaken:
    """Take call records of one company or several, all of them or none: each with the company it is of.

    Records of one Call-ID are one call, whenever they come. RuleViolation for a batch that is too large, BadCallsError
    for records that cannot be taken: of no company or service there is, of a moment ahead or too long ago.
    """
    if len(batch) > CALLS_AT_MOST:
        raise RuleViolation(f"At most {CALLS_AT_MOST:,} call records are taken at once.", "records")
    sifted = _sifted(batch, now)
    if sifted.wrong:
        raise BadCallsError(dict(sorted(sifted.wrong.items())[:WRONG_AT_MOST]))
    return _written(sifted, now)


def take_call_file(
    company: Company, rows: Iterable[Sequence[str]], *, by: Actor, now: datetime
) -> tuple[CallsTaken, list[Line]]:
    """Take what is right in a file of call records of a company; what is wrong is told line by line."""
    calls, wrong = read_lines(rows)
    if len(calls) > CALLS_AT_MOST:
        raise RuleViolation(f"A file has at most {CALLS_AT_MOST:,} call records. Take it in parts.", "file")
    if not calls and not wrong:
        raise RuleViolation("There is no call record in this file.", "file")
    sifted = _sifted([(company.id, call) for call in calls.values()], now)
    lines = list(calls)
    wrong += (Line(lines[place], f"{each.field}: {each.sentence}") for place, each in sifted.wrong.items())
    taken = _written(sifted, now)
    audit.record(
        "calls.upload",
        object_kind="company",
        object_id=company.id,
        by=by,
        now=now,
        company_id=company.id,
        after={"taken": taken.taken, "known": taken.known, "wrong": len(wrong)},
    )
    return taken, sorted(wrong, key=lambda each: each.number)


# Sifting


@dataclass(frozen=True)
class _Sifted:
    """What a batch says: what is known of its calls once it is taken, those that were there before, and what is wrong.

    `told` holds the calls of which something new was said, by company and Call-ID; `known` the number of the row of
    each that is there, and what it says. `taken` and `repeated` count records that told something new and nothing new.
    """

    told: dict[tuple[int, str], Call]
    known: Mapping[tuple[int, str], tuple[int, Call]]
    wrong: dict[int, Wrong]
    taken: int
    repeated: int


def _sifted(batch: Sequence[tuple[int, Call]], now: datetime) -> _Sifted:
    """Look at each record of a batch, in its order. Its companies are held from now on."""
    earliest = _held({company_id for company_id, _call in batch}, now)
    services = _services({call.service_id for _company_id, call in batch if call.service_id is not None})
    known = _known({(company_id, call.call_id) for company_id, call in batch if company_id in earliest})
    told: dict[tuple[int, str], Call] = {}
    wrong: dict[int, Wrong] = {}
    moment, repeated = milliseconds(now), 0
    for place, (company_id, call) in enumerate(batch):
        key = company_id, call.call_id
        begin = earliest.get(company_id)
        if begin is None:
            wrong[place] = Wrong("company_id", "There is no such company.")
            continue
        before = told.get(key) or (known[key][1] if key in known else None)
        after = joined(before, call) if before else call
        if refused := refusal(call, moment, begin) or (before and joined_refusal(after, begin)):
            wrong[place] = Wrong(*refused)
        elif call.service_id is not None and call.service_id not in services:
            wrong[place] = Wrong("service_id", "There is no such service.")
        elif after == before:
            repeated += 1
        else:
            told[key] = after
    return _Sifted(told, known, wrong, len(batch) - repeated - len(wrong), repeated)


def _held(company_ids: Collection[int], now: datetime) -> dict[int, int]:
    """From when on calls of these companies are taken, for this transaction alone; without those there are not.

    Two that wrote at once would each count without the records of the other.
    """
    there = db.session.scalars(
        select(Company.id).where(Company.id.in_(company_ids), Company.archived_at.is_(None))
    ).all()
    if not there:
        return {}
    dialect = sqlite if is_sqlite() else postgresql
    made = dialect.insert(cast(Any, CallBook.__table__)).on_conflict_do_nothing()
    db.session.execute(made, [{"company_id": each, "whole_from": None} for each in sorted(there)])
    books = db.session.execute(
        select(CallBook.company_id, CallBook.whole_from)
        .where(CallBook.company_id.in_(there))
        .order_by(CallBook.company_id)
        .with_for_update()
    )
    days = days_kept()
    return {company_id: milliseconds(taken_from(now, days, whole_from)) for company_id, whole_from in books}


def _services(service_ids: Collection[int]) -> Collection[int]:
    if not service_ids:
        return ()
    return set(db.session.scalars(select(Service.id).where(Service.id.in_(service_ids))))


def _known(keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], tuple[int, Call]]:
    """The calls that are there of these companies and Call-IDs, each with the number of its row."""
    asked = given({"company_id": Integer(), "call_id": String()}, list(keys))
    told = CallRecord.__table__.c
    columns = (type_coerce(told[name], NullType()) for name in SAID)
    rows = db.session.execute(
        select(told.id, told.company_id, *columns).join_from(
            asked, CallRecord, (told.company_id == asked.c.company_id) & (told.call_id == asked.c.call_id)
        )
    )
    found = {}
    for row_id, company_id, *said in rows:
        said[OUTCOME] = Outcome(said[OUTCOME]) if said[OUTCOME] else None
        found[company_id, said[0]] = row_id, Call(*said)
    return found


# Writing


def _written(sifted: _Sifted, now: datetime) -> CallsTaken:
    """Write what a batch told, and what it comes to."""
    ledger = Ledger()
    new, changed = [], []
    for key, call in sifted.told.items():
        row = sifted.known.get(key)
        if row is None:
            new.append(_row(key[0], call))
        else:
            changed.append((row[0], *_row(key[0], call)))
            ledger.count(key[0], row[1], -1)
        ledger.count(key[0], call, 1)
    write(CallRecord, RECORD, new)
    write(CallRecord, ("id", *RECORD), changed, key=("id",))
    change(list(ledger.changes()))
    latest: dict[int, int] = {}
    for (company_id, _call_id), call in sifted.told.items():
        latest[company_id] = max(latest.get(company_id, 0), call.started, call.answered or 0, call.ended or 0)
    sources.note_all([sources.Told(each, SourceKind.CALLS, None, instant(at)) for each, at in latest.items()], now=now)
    return CallsTaken(sifted.taken, sifted.repeated)


def _row(company_id: int, call: Call) -> tuple[Any, ...]:
    """A call as a row, in the order of `RECORD`."""
    outcome = call.outcome.value if call.outcome else None
    return (
        company_id,
        *call[:OUTCOME],
        outcome,
        *call[OUTCOME + 1 :],
        tail_of(call.from_number),
        tail_of(call.to_number),
    )


# What is kept


def forget_calls(before: datetime, limit: int) -> int:
    """Forget some call records of days of UTC that were over before this moment, the oldest of one company."""
    cut = CallStep.DAY.begin(before)
    old = CallRecord.started_at < cut
    of_book = select(CallRecord.id).where(CallRecord.company_id == CallBook.company_id, old).exists()
    company_id = db.session.scalar(select(CallBook.company_id).where(of_book).order_by(CallBook.company_id).limit(1))
    if company_id is None:
        return 0
    _forgotten_before([company_id], cut)
    mine = (CallRecord.company_id == company_id, old)
    some = select(CallRecord.id).where(*mine).order_by(CallRecord.started_at).limit(limit)
    gone = db.session.execute(
        delete(CallRecord).where(CallRecord.id.in_(some)), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], gone).rowcount


def forget_tallies(step: CallStep, before: datetime, limit: int) -> int:
    """Forget some of what calls came to by this step on days of UTC that were over before this moment, the oldest."""
    cut = CallStep.DAY.begin(before)
    key = [CallTally.company_id, CallTally.scope, CallTally.step, CallTally.at]
    some = db.session.execute(
        select(*key).where(CallTally.step == step, CallTally.at < cut).order_by(CallTally.at).limit(limit)
    ).all()
    if not some:
        return 0
    _forgotten_before({row.company_id for row in some}, cut)
    told = CallTally.__table__
    gone = delete(cast(Any, told)).where(*(told.c[name] == bindparam(f"the_{name}") for name in TALLY_KEY))
    db.session.execute(gone, [{f"the_{name}": value for name, value in row._mapping.items()} for row in some])
    return len(some)


def _forgotten_before(company_ids: Collection[int], cut: datetime) -> None:
    """Say from when on everything of these companies is kept: from then on no late call of before is taken."""
    db.session.execute(
        select(CallBook).where(CallBook.company_id.in_(company_ids)).order_by(CallBook.company_id).with_for_update()
    )
    db.session.execute(
        update(CallBook)
        .where(CallBook.company_id.in_(company_ids), or_(CallBook.whole_from.is_(None), CallBook.whole_from < cut))
        .values(whole_from=cut)
        .execution_options(synchronize_session=False)
    )
