"""The long part of an import, in a worker: the dry run, and applying it in one transaction.

A process takes a lease on the run and renews it with its progress. When it dies the lease runs out, and whoever finds
the run begins its phase anew: a dry run writes nothing but what is shown of it, and applying is one transaction, which
either is there whole or never was.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, cast

from sqlalchemy import CursorResult, case, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from portal import events
from portal.audit import actions as audit
from portal.database import read_only
from portal.extensions import db
from portal.records import actions, kinds
from portal.records.models import ImportPart, ImportRun
from portal.records.queries import PAGE_SIZE, PART_SIZE, WORKING, content_of, judged_page
from portal.records.rules import ImportState, Verdict
from portal.records.rules.columns import row_of
from portal.records.rules.files import Unreadable, rows_of
from portal.records.rules.judging import Judged, PlanHash

log = logging.getLogger(__name__)

PIECE = 1000
"""Rows judged at once: few enough that nothing waits long for them, many enough that queries do not count."""

TELL_EVERY = 0.5
"""Seconds between two tellings of how far it is, at least."""

Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""


class Lost(Exception):  # noqa: N818 (it says what happened)
    """The lease is not ours any more, or somebody said stop."""


class Work:
    """One phase of one import, done by this process; `now` reads the clock, `stop` is set when it is to end."""

    def __init__(
        self,
        run_id: int,
        *,
        now: Callable[[], datetime],
        lease_seconds: float,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.run_id = run_id
        self.now = now
        self.owner = secrets.token_hex(8)
        self.lease = timedelta(seconds=lease_seconds)
        self.stop = stop or threading.Event()
        self.progress = progress
        self._told = 0.0

    def run(self) -> None:
        """Do what is due of this import, if nobody else is at it. Commits as it goes."""
        if not self._take():
            return
        run = db.session.get_one(ImportRun, self.run_id)
        phases = {
            ImportState.PLANNING: self._plan,
            ImportState.APPLYING: self._apply,
            ImportState.FOLLOWING: self._follow,
        }
        try:
            phases[run.state](run)
        except Lost:
            events.rollback()
            self._let_go()
        except Unreadable as problem:
            events.rollback()
            self._end_with(problem.sentence)
        except (IntegrityError, kinds.Moved):
            # Somebody wrote the same rows between our look and our write: look again.
            events.rollback()
            self._plan_anew()
        except OperationalError:
            # The database is away or busy; the lease runs out, and the pulse finds the run again.
            raise
        except Exception as trouble:
            log.exception("import %s cannot be worked on", self.run_id)
            events.rollback()
            self._end_with(f"This could not be worked on ({type(trouble).__name__}). Nothing was changed.")

    # The dry run.

    def _plan(self, run: ImportRun) -> None:
        kind, content = kinds.kind_named(run.kind), self._content()
        with _reading():
            importer = kind.begin(cast(Mapping[str, str], run.choices))
        parts, plan_hash, done = Parts(self.run_id), PlanHash(), 0
        for piece, cells in _pieces(content, run):
            with _reading():
                judged = importer.judge(piece)
            plan_hash.add(judged)
            parts.add(judged, cells)
            done += len(piece)
            self._tell(done, run.total, parts)
        self._keep_lease(done)
        parts.store(is_last=True)
        changed = self._update(
            state=ImportState.PLANNED,
            counts=parts.counts,
            plan_hash=plan_hash.hexdigest(),
            done=done,
            finished_at=self.now(),
            lease_owner=None,
            leased_until=None,
        )
        if not changed:
            raise Lost
        events.ring(events.STAFF, events.import_topic(self.run_id))
        events.commit()

    # Applying it.

    def _apply(self, run: ImportRun) -> None:
        kind, content = kinds.kind_named(run.kind), self._content()
        expected, leave_out = run.plan_hash, run.leave_out_refused
        pieces = list(_pieces(content, run))
        events.rollback()
        # From here on one transaction: it holds the run, looks at every row again, writes them all, and ends.
        self._keep_lease(0)
        run = db.session.get_one(ImportRun, self.run_id)
        by, now = actions.actor_of(run), self.now()
        importer, plan_hash, parts = kind.begin(cast(Mapping[str, str], run.choices)), PlanHash(), Parts(self.run_id)
        judged: list[Judged] = []
        for rows, _cells in pieces:
            these = importer.judge(rows)
            plan_hash.add(these)
            judged += these
            if self.progress:
                self.progress(len(judged) // 2, run.total)
        good = [each for each in judged if each.verdict in {Verdict.ADDED, Verdict.CHANGED}]
        if plan_hash.hexdigest() != expected or (not leave_out and any(_is_bad(each) for each in judged)):
            raise kinds.Moved
        ids = importer.write(good, by=by, now=now)
        importer.finish(by=by, now=now)
        parts.replace_ids(good, ids)
        counts = run.counts
        audit.record(
            "import.apply",
            object_kind="import",
            object_id=run.id,
            by=by,
            now=now,
            after={"kind": run.kind, "file": run.filename, **counts, "left_out": counts.get(Verdict.REFUSED, 0)},
        )
        follow_up = kind.follow_up
        is_more = follow_up is not None and run.choices.get(follow_up.option.name) and counts.get(Verdict.ADDED)
        self._update(
            state=ImportState.FOLLOWING if is_more else ImportState.DONE,
            done=0 if is_more else run.total,
            began_at=self.now() if is_more else run.began_at,
            finished_at=self.now(),
            lease_owner=None,
            leased_until=None,
        )
        if is_more:
            events.wake("bring_in", self.run_id)
        events.ring(events.STAFF, events.import_topic(self.run_id))
        events.commit()
        if self.progress:
            self.progress(run.total, run.total)

    # What comes after.

    def _follow(self, run: ImportRun) -> None:
        """Do what was chosen with each row that was added, a few in each transaction, which also says how far it is."""
        follow_up, by = kinds.kind_named(run.kind).follow_up, actions.actor_of(run)
        total, done = run.counts.get(Verdict.ADDED, 0), run.done
        while follow_up is not None and done < total:
            if self.stop.is_set():
                raise Lost
            page = judged_page(run, Verdict.ADDED, done // PAGE_SIZE + 1).items
            follow_up.act([row["id"] for row in page], by, self.now())
            done = min(total, (done // PAGE_SIZE + 1) * PAGE_SIZE)
            self._keep_lease(done)
            events.ring(events.import_topic(self.run_id))
            events.commit()
            if self.progress:
                self.progress(done, total)
        self._update(state=ImportState.DONE, done=run.total, lease_owner=None, leased_until=None)
        events.ring(events.STAFF, events.import_topic(self.run_id))
        events.commit()

    def _plan_anew(self) -> None:
        """The world has moved since the dry run: say so, and make another one, which somebody has to look at again."""
        changed = self._update(
            state=ImportState.PLANNING,
            plan_hash=None,
            counts={},
            done=0,
            began_at=None,
            lease_owner=None,
            leased_until=None,
            note="Something changed after the dry run, so nothing was applied. This is how it would be now.",
        )
        if changed:
            events.ring(events.STAFF, events.import_topic(self.run_id))
            events.wake("bring_in", self.run_id)
        events.commit()

    # The lease.

    def _take(self) -> bool:
        """Hold the run for this process, unless another one does."""
        now = self.now()
        taken = db.session.execute(
            update(ImportRun)
            .where(
                ImportRun.id == self.run_id,
                ImportRun.state.in_(WORKING),
                or_(ImportRun.leased_until.is_(None), ImportRun.leased_until <= now),
            )
            .values(
                lease_owner=self.owner,
                leased_until=now + self.lease,
                began_at=case((ImportRun.state == ImportState.FOLLOWING, ImportRun.began_at), else_=now),
                done=case((ImportRun.state == ImportState.FOLLOWING, ImportRun.done), else_=0),
            )
            .execution_options(synchronize_session=False)
        )
        is_ours = bool(cast(CursorResult[Any], taken).rowcount)
        if is_ours:
            db.session.execute(delete(ImportPart).where(ImportPart.run_id == self.run_id).where(_while_planning()))
            events.ring(events.import_topic(self.run_id))
        events.commit()
        return is_ours

    def _update(self, **values: Any) -> bool:
        """Change the run as long as it is ours; past its version, which is for what people change."""
        changed = db.session.execute(
            update(ImportRun)
            .where(ImportRun.id == self.run_id, ImportRun.lease_owner == self.owner)
            .values(**values, version=ImportRun.version + 1)
            .execution_options(synchronize_session=False)
        )
        return bool(cast(CursorResult[Any], changed).rowcount)

    def _keep_lease(self, done: int) -> None:
        """Note how far we are and hold the run for another while; Lost when it is not ours, or is to be stopped."""
        kept = db.session.execute(
            update(ImportRun)
            .where(ImportRun.id == self.run_id, ImportRun.lease_owner == self.owner, ImportRun.stop_asked.is_(False))
            .values(done=done, leased_until=self.now() + self.lease)
            .execution_options(synchronize_session=False)
        )
        if not cast(CursorResult[Any], kept).rowcount:
            raise Lost

    def _tell(self, done: int, total: int, parts: "Parts") -> None:
        """Every half second, and when a lot has gathered: store what there is, note the progress, ring."""
        if self.stop.is_set():
            raise Lost
        if self.progress:
            self.progress(done, total)
        if time.monotonic() - self._told < TELL_EVERY and parts.waiting < 10 * PART_SIZE:
            return
        self._told = time.monotonic()
        self._keep_lease(done)
        parts.store()
        events.ring(events.import_topic(self.run_id))
        events.commit()

    def _let_go(self) -> None:
        """Back to the columns when somebody said stop; else the run is free for the next process at once."""
        run = db.session.get(ImportRun, self.run_id, with_for_update=True)
        if run is not None and run.lease_owner == self.owner:
            run.lease_owner = run.leased_until = None
            if run.stop_asked and run.state is ImportState.PLANNING:
                actions.back_to_columns(run, "Stopped. Nothing was changed.")
            events.ring(events.STAFF, events.import_topic(self.run_id))
        events.commit()

    def _end_with(self, sentence: str) -> None:
        """Back to the columns with what is wrong with the file."""
        run = db.session.get(ImportRun, self.run_id, with_for_update=True)
        if run is not None and run.lease_owner == self.owner:
            actions.give_up(run, sentence)
            events.ring(events.STAFF, events.import_topic(self.run_id))
        events.commit()

    def _content(self) -> bytes:
        content = content_of(self.run_id)
        if content is None:
            raise Unreadable("The file of this import is no longer kept. Choose it again under New import.")
        events.rollback()
        return content


class Parts:
    """Judged rows on their way into the database, a few hundred in one piece."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self.counts: dict[str, int] = dict.fromkeys(Verdict, 0)
        self._rows: dict[Verdict, list[dict[str, Any]]] = {verdict: [] for verdict in Verdict}
        self._next: dict[Verdict, int] = dict.fromkeys(Verdict, 0)

    @property
    def waiting(self) -> int:
        """Rows that are not stored yet."""
        return sum(len(rows) for rows in self._rows.values())

    def add(self, judged: Sequence[Judged], cells: Sequence[Sequence[str]]) -> None:
        """Take in judged rows; of those that cannot come in with all their cells, to be corrected."""
        for each, texts in zip(judged, cells, strict=True):
            self.counts[each.verdict] += 1
            row = each.stored()
            if each.verdict is Verdict.REFUSED:
                row["cells"] = list(texts)
            self._rows[each.verdict].append(row)

    def store(self, *, is_last: bool = False) -> None:
        """Store every full piece; in the end what is left too."""
        pieces = []
        for verdict, rows in self._rows.items():
            whole = len(rows) if is_last else len(rows) - len(rows) % PART_SIZE
            for start in range(0, whole, PART_SIZE):
                number = self._next[verdict]
                self._next[verdict] += 1
                pieces.append({"number": number, "verdict": verdict, "rows": rows[start : start + PART_SIZE]})
            self._rows[verdict] = rows[whole:]
        if pieces:
            db.session.execute(insert(ImportPart), [{"run_id": self.run_id, **piece} for piece in pieces])

    def replace_ids(self, good: Sequence[Judged], ids: Mapping[int, int]) -> None:
        """The rows that were added have ids now: what is shown of them leads there."""
        for each in good:
            if each.verdict is Verdict.ADDED:
                row = each.stored()
                row["id"] = ids.get(each.number)
                self._rows[Verdict.ADDED].append(row)
        of_these = (ImportPart.run_id == self.run_id, ImportPart.verdict == Verdict.ADDED)
        db.session.execute(delete(ImportPart).where(*of_these))
        self.store(is_last=True)


def _pieces(content: bytes, run: ImportRun) -> Iterator[tuple[list[Any], list[tuple[str, ...]]]]:
    """The rows of the file as their kind reads them, and their cells as they stand there, a thousand at a time."""
    mapping = dict(run.mapping)
    records = rows_of(content, run.encoding, run.delimiter)
    while piece := list(islice(records, PIECE)):
        yield [row_of(record, mapping) for record in piece], [record.cells for record in piece]


def _is_bad(judged: Judged) -> bool:
    return judged.verdict is Verdict.REFUSED


def _while_planning() -> Any:
    """Parts of a dry run that was broken off; those of one that is being applied stay."""
    planning = select(ImportRun.id).where(ImportRun.state == ImportState.PLANNING)
    return ImportPart.run_id.in_(planning)


@contextmanager
def _reading() -> Iterator[None]:
    """Read in a transaction of its own that takes no write lock, and end it."""
    token = read_only.set(True)
    try:
        yield
    finally:
        events.rollback()
        read_only.reset(token)
