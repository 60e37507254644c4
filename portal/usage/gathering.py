"""Writing samples, and the figures they come to: the finest of samples, each longer one by what changed in its parts.

The metrics are held by the transaction, so what was read is still so when it is written. The statements are as many
for one sample of one metric as for ten thousand of a thousand.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Integer, String, and_, func, select, type_coerce
from sqlalchemy.types import NullType

from portal.database import moment_of
from portal.extensions import db
from portal.usage.given import given, holder, moment_type, write
from portal.usage.models import MetricFigure, MetricSample, millionths, total_text
from portal.usage.rules import Step, Sums, moved, summed

FINEST = Step.FIVE_MINUTES
SECONDS = FINEST.seconds
SAMPLE_KEY = ("metric_id", "at")
FIGURE_KEY = ("metric_id", "step", "at")
SUMS = ("count", "total", "least", "most", "last", "last_at")

Place = tuple[int, int]
"""A metric, and one of its finest steps by its number since 1970."""


class Change(NamedTuple):
    """What a step of a metric came to, None where nothing was measured in it, and what it comes to now."""

    metric_id: int
    at: datetime
    before: Sums | None
    after: Sums


def keep(samples: Mapping[tuple[int, datetime], int]) -> dict[int, list[datetime]]:
    """Write samples, millionths by metric and moment, and their figures. Returns what is new or changed, by metric."""
    told: dict[Place, dict[datetime, int]] = {}
    for (metric_id, at), value in samples.items():
        told.setdefault((metric_id, _number(at)), {})[at] = value
    places = sorted(told)
    kept = _samples_in(places)
    changes, new = [], {}
    for place in places:
        before = kept.get(place, {})
        some = {at: value for at, value in told[place].items() if before.get(at) != value}
        if some:
            new[place] = some
            changes.append(
                Change(place[0], _begin(place[1]), summed(before) if before else None, summed({**before, **some}))
            )
    if changes:
        _write_samples(new)
        _write_figures(FINEST, changes)
        _gather(changes)
    changed: dict[int, list[datetime]] = {}
    for (metric_id, _step), some in new.items():
        changed.setdefault(metric_id, []).extend(some)
    return changed


def _gather(changes: Iterable[Change]) -> None:
    """Change the longer steps that hold these, which are written."""
    places: dict[Step, dict[tuple[int, datetime], list[Change]]] = {Step.HOUR: {}, Step.DAY: {}}
    for step, parts in places.items():
        begins: dict[datetime, datetime] = {}
        for each in changes:
            begin = begins.get(each.at) or begins.setdefault(each.at, step.begin(each.at))
            parts.setdefault((each.metric_id, begin), []).append(each)
    kept = _figures([(step, place) for step, parts in places.items() for place in parts])
    finer = FINEST
    for step, parts in places.items():
        _change(step, finer, parts, kept)
        finer = step


def _change(
    step: Step,
    finer: Step,
    parts: Mapping[tuple[int, datetime], Iterable[Change]],
    kept: Mapping[tuple[int, Step, datetime], Sums],
) -> None:
    """Change figures of a longer step by what changed in it. `finer` is the step whose figures are written already."""
    found: dict[tuple[int, datetime], Sums] = {}
    loose = []
    for place, changes in parts.items():
        sums, is_loose = kept.get((place[0], step, place[1])), False
        for each in changes:
            sums, was_lost = moved(sums, each.before, each.after)
            is_loose |= was_lost
            found[place] = sums
        if is_loose:
            loose.append(place)
    for place, least, most in _extremes(step, finer, loose):
        found[place] = found[place]._replace(least=least, most=most)
    _write_figures(step, [Change(*place, None, sums) for place, sums in found.items()])


# Reading


def _samples_in(places: Iterable[Place]) -> dict[Place, dict[datetime, int]]:
    """What is kept of these steps. Neighbours are read as one stretch of time."""
    stretches: list[tuple[int, int, int]] = []
    for metric_id, number in places:
        if stretches and stretches[-1][0] == metric_id and stretches[-1][2] == number:
            stretches[-1] = metric_id, stretches[-1][1], number + 1
        else:
            stretches.append((metric_id, number, number + 1))
    held, kind = holder(), moment_type()
    asked = given(
        {"metric_id": Integer(), "begins": kind, "ends": kind},
        [(metric_id, held(_begin(begins)), held(_begin(ends))) for metric_id, begins, ends in stretches],
    )
    told = MetricSample.__table__.c
    at = type_coerce(told.at, kind)
    within = and_(told.metric_id == asked.c.metric_id, at >= asked.c.begins, at < asked.c.ends)
    found: dict[Place, dict[datetime, int]] = {}
    rows = db.session.execute(
        select(told.metric_id, at, type_coerce(told.value, NullType())).select_from(asked).join(MetricSample, within)
    )
    for metric_id, read, value in rows:
        moment = moment_of(read)
        found.setdefault((metric_id, _number(moment)), {})[moment] = value
    return found


def _figures(places: Iterable[tuple[Step, tuple[int, datetime]]]) -> dict[tuple[int, Step, datetime], Sums]:
    """The figures that are kept of these metrics, steps and beginnings."""
    held, kind = holder(), moment_type()
    asked = given(
        {"metric_id": Integer(), "step": String(), "at": kind},
        [(metric_id, step.value, held(at)) for step, (metric_id, at) in places],
    )
    told = MetricFigure.__table__.c
    at = type_coerce(told.at, kind)
    same = and_(told.metric_id == asked.c.metric_id, told.step == asked.c.step, at == asked.c.at)
    sums: Any = [type_coerce(told[name], NullType()) for name in SUMS]
    rows = db.session.execute(
        select(told.metric_id, type_coerce(told.step, String()), at, *sums).select_from(asked).join(MetricFigure, same)
    )
    return {
        (metric_id, Step(step), moment_of(begin)): Sums(
            count, millionths(Decimal(total)), least, most, last, moment_of(last_at)
        )
        for metric_id, step, begin, count, total, least, most, last, last_at in rows
    }


def _extremes(
    step: Step, finer: Step, places: Sequence[tuple[int, datetime]]
) -> Iterable[tuple[tuple[int, datetime], int, int]]:
    """The least and the most of the finer steps within these."""
    if not places:
        return
    held, kind = holder(), moment_type()
    asked = given(
        {"place": Integer(), "metric_id": Integer(), "begins": kind, "ends": kind},
        [
            (number, metric_id, held(at), held(datetime.fromtimestamp(at.timestamp() + step.seconds, UTC)))
            for number, (metric_id, at) in enumerate(places)
        ],
    )
    told = MetricFigure.__table__.c
    at = type_coerce(told.at, kind)
    within = and_(told.metric_id == asked.c.metric_id, told.step == finer, at >= asked.c.begins, at < asked.c.ends)
    least, most = (type_coerce(told[name], NullType()) for name in ("least", "most"))
    rows = db.session.execute(
        select(asked.c.place, func.min(least), func.max(most))
        .select_from(asked)
        .join(MetricFigure, within)
        .group_by(asked.c.place)
    )
    for number, lowest, highest in rows:
        yield places[number], lowest, highest


# Writing


def _write_samples(samples: Mapping[Place, Mapping[datetime, int]]) -> None:
    held = holder()
    rows = [(place[0], held(at), value) for place, some in samples.items() for at, value in some.items()]
    write(MetricSample, (*SAMPLE_KEY, "value"), rows, key=SAMPLE_KEY)


def _write_figures(step: Step, changes: Iterable[Change]) -> None:
    held = holder()
    rows = [
        (metric_id, step.value, held(at), sums.samples, total_text(sums.total), *sums[2:5], held(sums.last_at))
        for metric_id, at, _before, sums in changes
    ]
    write(MetricFigure, (*FIGURE_KEY, *SUMS), rows, key=FIGURE_KEY)


def _number(at: datetime) -> int:
    return math.floor(at.timestamp()) // SECONDS


def _begin(number: int) -> datetime:
    return datetime.fromtimestamp(number * SECONDS, UTC)
