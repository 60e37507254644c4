"""The steps of an import that somebody takes: sending the file, choosing columns, asking for a dry run, applying it.

What takes long is done by `working`; here it is only asked for.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.records import kinds
from portal.records.bulk import pieces
from portal.records.models import ImportFile, ImportMapping, ImportPart, ImportRun
from portal.records.queries import WORKING, has_file, remembered
from portal.records.rules import ImportState, Verdict
from portal.records.rules.columns import complaints, guess
from portal.records.rules.files import Shape, Unreadable, safe_filename, shape_of

FILES_KEPT = timedelta(days=30)
"""How long the file and the judged rows of an import are kept after its last step. What came of it is kept for good."""


def begin(
    kind_name: str, filename: str, content: bytes, *, by: Actor, now: datetime, shape: Shape | None = None
) -> ImportRun:
    """Take in a file and look at its shape; Unreadable, or its child TooBig, says why it cannot be read.

    `shape` is that of the content where the caller has looked already, before there was a transaction to hold up.
    """
    kind = kinds.kind_named(kind_name)
    if not filename and not content:
        raise RuleViolation("Choose a file.", "file")
    shape = shape or shape_of(content)
    if not shape.total:
        raise Unreadable("There is a header in this file and no row below it.")
    run = ImportRun(
        kind=kind.name,
        state=ImportState.MAPPING,
        filename=safe_filename(filename),
        size=len(content),
        encoding=shape.encoding,
        delimiter=shape.delimiter,
        headers=list(shape.headers),
        samples=[list(values) for values in shape.samples],
        mapping=guess(kind.columns, shape.headers, remembered(kind.name)),
        choices={},
        total=shape.total,
        counts={},
        created_by_id=by.person_id,
        created_by=by.label[:254],
        asked_by=_packed(by),
        created_at=now,
    )
    db.session.add(run)
    db.session.flush()
    db.session.add(ImportFile(run_id=run.id, content=content))
    db.session.flush()
    _record("import.upload", run, by, now, {"file": run.filename, "rows": run.total, "kind": run.kind})
    return run


def plan(
    run: ImportRun, mapping: Mapping[str, int], choices: Mapping[str, str], *, version: int, by: Actor, now: datetime
) -> dict[str, str]:
    """Ask for a dry run with these columns and choices; what is wrong with the columns, by column, if anything is.

    The columns are remembered for the next file of this kind.
    """
    _at(run, version, ImportState.MAPPING, ImportState.PLANNED)
    _with_file(run)
    kind = kinds.kind_named(run.kind)
    wrong = complaints(kind.columns, mapping, run.headers)
    if wrong:
        return wrong
    for option in options_of(kind):
        if choices.get(option.name, "") not in {value for value, _label in option.values()}:
            return {option.name: "Choose one of the list."}
    run.mapping, run.choices = dict(mapping), dict(choices)
    _remember(kind, run)
    _forget_plan(run)
    _ask(run, ImportState.PLANNING, by)
    return {}


def options_of(kind: kinds.ImportKind) -> tuple[kinds.Option, ...]:
    """Everything that is chosen for a whole file of this kind."""
    return (*kind.options, *([kind.follow_up.option] if kind.follow_up else []))


def plan_again(run: ImportRun, *, version: int, by: Actor, now: datetime) -> None:
    """Make the dry run once more with the same columns, for a world that has changed."""
    wrong = plan(run, run.mapping, run.choices, version=version, by=by, now=now)
    if wrong:
        raise RuleViolation(next(iter(wrong.values())))


def stop(run: ImportRun, *, by: Actor, now: datetime) -> None:
    """Stop a dry run; nothing was written by it. Applying cannot be stopped: all of it is one step."""
    if run.state is ImportState.PLANNING:
        run.stop_asked = True
        run.asked_by = _packed(by)
        if run.leased_until is None or run.leased_until <= now:
            back_to_columns(run, "Stopped. Nothing was changed.")
        db.session.flush()
        events.ring(events.STAFF, events.import_topic(run.id))


def back_to_columns(run: ImportRun, note: str | None) -> None:
    """Let go of a dry run, made or under way; the file stays, and its columns can be chosen again."""
    if run.state not in {ImportState.PLANNING, ImportState.PLANNED}:
        raise StaleEdit
    _forget_plan(run)
    run.state, run.note, run.stop_asked = ImportState.MAPPING, note, False
    run.lease_owner = run.leased_until = None


def give_up(run: ImportRun, sentence: str) -> None:
    """What was asked for cannot be done; back to the columns, with the reason."""
    _forget_plan(run)
    run.state, run.note, run.stop_asked = ImportState.MAPPING, sentence[:500], False
    run.lease_owner = run.leased_until = None


def apply(
    run: ImportRun,
    *,
    leave_out_refused: bool,
    plan_hash: str,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Ask for just what the dry run says, which `plan_hash` stands for.

    Refused when there are bad rows, unless they are to be left out, and when there is nothing to do.
    """
    _at(run, version, ImportState.PLANNED)
    _with_file(run)
    if run.plan_hash != plan_hash:
        raise StaleEdit
    bad = run.counts.get(Verdict.REFUSED, 0)
    if bad and not leave_out_refused:
        raise RuleViolation(f"{bad:,} rows cannot come in. Correct them in the file, or say that they are left out.")
    if not good_rows(run):
        raise RuleViolation("There is nothing to apply: no row would add or change anything.")
    run.leave_out_refused = leave_out_refused
    _ask(run, ImportState.APPLYING, by)


def good_rows(run: ImportRun) -> int:
    """How many rows would add or change something."""
    return run.counts.get(Verdict.ADDED, 0) + run.counts.get(Verdict.CHANGED, 0)


def discard(run: ImportRun, *, version: int, by: Actor, now: datetime) -> None:
    """Throw an import away that was not applied, with its file."""
    _at(run, version, ImportState.MAPPING, ImportState.PLANNED)
    _forget_plan(run)
    db.session.execute(delete(ImportFile).where(ImportFile.run_id == run.id))
    run.state = ImportState.DISCARDED
    run.finished_at = now
    db.session.flush()
    events.ring(events.STAFF)
    _record("import.discard", run, by, now, {"file": run.filename})


def forget_files(now: datetime, kept: timedelta | None = FILES_KEPT) -> int:
    """Remove the files and judged rows of imports whose last step is long ago; returns how many files went.

    `kept` None removes those of every import that nobody works on.
    """
    old = select(ImportRun.id).where(ImportRun.state.not_in(WORKING))
    if kept is not None:
        moved = func.coalesce(ImportRun.finished_at, ImportRun.began_at, ImportRun.created_at)
        old = old.where(moved <= now - kept)
    db.session.execute(delete(ImportPart).where(ImportPart.run_id.in_(old)))
    gone = db.session.scalars(delete(ImportFile).where(ImportFile.run_id.in_(old)).returning(ImportFile.run_id)).all()
    for piece in pieces(gone):
        # The first values of each column stand on the import itself.
        db.session.execute(
            update(ImportRun).where(ImportRun.id.in_(piece)).values(samples=[]),
            execution_options={"synchronize_session": False},
        )
    return len(gone)


def actor_of(run: ImportRun) -> Actor:
    """Who took the last step, as the audit trail names them."""
    return Actor(**run.asked_by)


def _at(run: ImportRun, version: int, *states: ImportState) -> None:
    if run.version != version or run.state not in states:
        raise StaleEdit


def _with_file(run: ImportRun) -> None:
    if not has_file(run.id):
        raise RuleViolation("The file of this import is no longer kept. Choose it again under New import.")


def _ask(run: ImportRun, state: ImportState, by: Actor) -> None:
    run.state, run.done, run.note, run.stop_asked = state, 0, None, False
    run.began_at = run.finished_at = None
    run.asked_by = _packed(by)
    run.lease_owner = run.leased_until = None
    db.session.flush()
    events.ring(events.STAFF, events.import_topic(run.id))
    events.wake("bring_in", run.id)


def _forget_plan(run: ImportRun) -> None:
    db.session.execute(delete(ImportPart).where(ImportPart.run_id == run.id))
    run.counts, run.plan_hash, run.done = {}, None, 0


def _remember(kind: kinds.ImportKind, run: ImportRun) -> None:
    """Keep which header each column was read from; and that one was left out only where it could have been read."""
    known = db.session.get(ImportMapping, kind.name)
    headers = dict(known.headers) if known else {}
    readable = guess(kind.columns, run.headers, {})
    for column in kind.columns:
        if column.name in run.mapping:
            headers[column.name] = run.headers[run.mapping[column.name]]
        elif column.name in readable:
            headers[column.name] = ""
    if known is None:
        db.session.add(ImportMapping(kind=kind.name, headers=headers))
    elif known.headers != headers:
        known.headers = headers


def _packed(by: Actor) -> dict[str, str | int | None]:
    return {"label": by.label, "person_id": by.person_id, "ip": by.ip, "request_id": by.request_id}


def _record(action: str, run: ImportRun, by: Actor, now: datetime, after: Mapping[str, object]) -> None:
    audit.record(action, object_kind="import", object_id=run.id, by=by, now=now, after=after)
