"""Bringing in files in tests: begun, planned and applied as the screens and the worker do it."""

from collections.abc import Mapping
from typing import Any

from portal import clock, events
from portal.audit.rules import SYSTEM, Actor
from portal.extensions import db
from portal.records import actions
from portal.records.kinds import kind_named
from portal.records.models import ImportRun
from portal.records.queries import parts_of
from portal.records.rules import ImportState, Verdict
from portal.records.working import Work

ROOT = Actor("root@people.test")


def begun(kind: str, text: str | bytes, by: Actor = SYSTEM) -> ImportRun:
    """A file that was taken in, its columns guessed."""
    content = text if isinstance(text, bytes) else text.encode()
    run = actions.begin(kind, f"{kind}.csv", content, by=by, now=clock.utcnow())
    events.commit()
    return run


def planned(
    kind: str,
    text: str | bytes,
    choices: Mapping[str, str] | None = None,
    mapping: Mapping[str, int] | None = None,
    by: Actor = SYSTEM,
) -> ImportRun:
    """A file after its dry run."""
    run = begun(kind, text, by)
    taken = {option.name: "" for option in actions.options_of(kind_named(kind))}
    if kind == "people":
        taken |= {"language": "en", "time_zone": "Europe/London"}
    wrong = actions.plan(
        run,
        run.mapping if mapping is None else mapping,
        {**taken, **(choices or {})},
        version=run.version,
        by=by,
        now=clock.utcnow(),
    )
    assert wrong == {}
    events.commit()
    return worked_on(run.id)


def applied(kind: str, text: str | bytes, choices: Mapping[str, str] | None = None, **rest: Any) -> ImportRun:
    """A file that was brought in, without the rows that cannot come in; as planned where nothing can."""
    run = planned(kind, text, choices, **rest)
    return apply(run) if actions.good_rows(run) else run


def apply(run: ImportRun) -> ImportRun:
    """Apply what the dry run says."""
    actions.apply(
        run,
        leave_out_refused=True,
        plan_hash=run.plan_hash or "",
        version=run.version,
        by=rest_of(run),
        now=clock.utcnow(),
    )
    events.commit()
    return worked_on(run.id)


def rest_of(run: ImportRun) -> Actor:
    """Who took the last step."""
    return actions.actor_of(run)


def worked_on(run_id: int) -> ImportRun:
    """The import once a worker has done what there is to do."""
    while True:
        Work(run_id, now=clock.utcnow, lease_seconds=60).run()
        run = db.session.get_one(ImportRun, run_id)
        db.session.refresh(run)
        if run.state not in {ImportState.APPLYING, ImportState.FOLLOWING, ImportState.PLANNING}:
            return run


def sentences(run: ImportRun) -> list[str]:
    """Why rows cannot come in."""
    return [row["sentence"] for rows in parts_of(run.id, Verdict.REFUSED) for row in rows]


def rows(run: ImportRun, verdict: Verdict) -> list[dict[str, Any]]:
    """The judged rows with this verdict."""
    return [row for part in parts_of(run.id, verdict) for row in part]


def counts(run: ImportRun) -> tuple[int, int, int, int]:
    """Rows added, changed, unchanged, refused."""
    return run.counts["added"], run.counts["changed"], run.counts["unchanged"], run.counts["refused"]
