"""For how long each kind of record is kept, and forgetting what is older, a bounded piece at a time.

The capabilities register what they can forget; the daily tidy-up asks each for pieces until nothing is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, select

from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.records.models import RetentionRule
from portal.records.rules.retention import is_due, refusal

AT_ONCE = 1000
"""Rows forgotten by one transaction, so that nobody waits for a lock."""

COUNTED_AT_MOST = 100_000
"""A count for the screen goes no further: looking must cost little."""


@dataclass(frozen=True)
class Keeping:
    """One kind of record that can be forgotten once it is old.

    `told` says what is forgotten and from when its age counts. `least_days` is the shortest time that may be set.
    `count` says how many are older than a moment (up to a bound), `forget` takes at most so many of them away and
    returns how many, 0 when there are no more.
    """

    name: str
    label: str
    told: str
    default_days: int
    least_days: int
    count: Callable[[datetime], int]
    forget: Callable[[datetime, int], int]
    place: int = 50


@dataclass(frozen=True)
class Kept:
    """A kind of record with its setting. `version` is 0 while nobody has set anything."""

    keeping: Keeping
    days: int
    version: int
    last_at: datetime | None
    last_count: int


_keepings: dict[str, Keeping] = {}


def register(keeping: Keeping) -> Keeping:
    """Make a kind of record known under its name; registering it again replaces it."""
    _keepings[keeping.name] = keeping
    return keeping


def rows_older(condition: Callable[[datetime], ColumnElement[bool]], key: Any) -> dict[str, Any]:
    """`count` and `forget` for rows that a condition on one table finds; `key` is its primary key."""

    def count(before: datetime) -> int:
        found = select(key).where(condition(before)).limit(COUNTED_AT_MOST).subquery()
        return db.session.scalar(select(func.count()).select_from(found)) or 0

    def forget(before: datetime, limit: int) -> int:
        some = select(key).where(condition(before)).order_by(key).limit(limit)
        gone = db.session.execute(
            delete(key.class_).where(key.in_(some)), execution_options={"synchronize_session": False}
        )
        return cast(CursorResult[Any], gone).rowcount

    return {"count": count, "forget": forget}


def settings() -> list[Kept]:
    """Every kind with how long it is kept and what went last, in the order of the screen. One query."""
    rules = {rule.name: rule for rule in db.session.scalars(select(RetentionRule))}
    return [_kept(each, rules.get(each.name)) for each in sorted(_keepings.values(), key=lambda each: each.place)]


def setting(name: str) -> Kept:
    """One kind with its setting; KeyError when there is none of this name."""
    return _kept(_keepings[name], db.session.get(RetentionRule, name))


def _kept(keeping: Keeping, rule: RetentionRule | None) -> Kept:
    if rule is None:
        return Kept(keeping, keeping.default_days, 0, None, 0)
    return Kept(keeping, rule.days, rule.version, rule.last_at, rule.last_count)


def older_than(keeping: Keeping, days: int, now: datetime) -> int:
    """How many records of a kind would be forgotten if they were kept for so many days."""
    return keeping.count(now - timedelta(days=days))


def change(name: str, days: int | None, *, version: int, by: Actor, now: datetime) -> bool:
    """Keep a kind of record for so many days from now on; whether that is different from before."""
    kept = setting(name)
    if sentence := refusal(days, kept.keeping.least_days):
        raise RuleViolation(sentence, name)
    if days is None or days == kept.days:
        return False
    if version != kept.version:
        raise StaleEdit
    _rule(kept).days = days
    db.session.flush()
    audit.record(
        "retention.edit",
        object_kind="retention",
        object_id=None,
        by=by,
        now=now,
        before={"kind": name, "days": kept.days},
        after={"kind": name, "days": days},
    )
    return True


def due(now: datetime) -> Sequence[str]:
    """The kinds that were not looked through today. One query."""
    return [kept.keeping.name for kept in settings() if is_due(kept.last_at, now)]


def forget_some(name: str, now: datetime) -> int:
    """Forget one piece of what is older than its time; returns how many, 0 when there is no more."""
    kept = setting(name)
    return kept.keeping.forget(now - timedelta(days=kept.days), AT_ONCE)


def note_forgotten(name: str, count: int, now: datetime) -> None:
    """Remember what went, and record it when it was anything."""
    kept = setting(name)
    rule = _rule(kept)
    rule.last_at, rule.last_count = now, count
    db.session.flush()
    if count:
        audit.record(
            "retention.forget",
            object_kind="retention",
            object_id=None,
            by=SYSTEM,
            now=now,
            after={"kind": name, "days": kept.days, "count": count},
        )


def _rule(kept: Kept) -> RetentionRule:
    found = db.session.get(RetentionRule, kept.keeping.name)
    if found is None:
        found = RetentionRule(name=kept.keeping.name, days=kept.days)
        db.session.add(found)
    return found
