"""The only writer of metrics, samples and figures.

Samples and the figures made of them are one transaction, and one metric is written by one transaction at a time: what
a chart shows is always what the kept samples come to. A batch that comes twice changes nothing the second time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.accounts.models import Company
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Service
from portal.domains.models import PortalDomain
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.usage import gathering, sources
from portal.usage.models import Metric, MetricFigure, MetricPortal, MetricSample, SourceKind, millionths
from portal.usage.queries import days_kept, domains_showing, is_key_taken, is_measured
from portal.usage.rules import (
    BATCH_AT_MOST,
    DECIMALS_AT_MOST,
    KEY,
    KEY_LENGTH,
    LARGEST,
    LONGEST_INTERVAL,
    NAME_LENGTH,
    SHORTEST_INTERVAL,
    TRUNK_LENGTH,
    UNIT_LENGTH,
    Line,
    Measure,
    Sample,
    Step,
    read_lines,
    refusal,
    taken_from,
)
from portal.usage.sources import Told

METRICS_AT_MOST = 10_000
LARGEST_POSITION = 100_000
WRONG_AT_MOST = 50
"""Samples of a batch, or lines of a file, that are named when they are refused."""

FORGET_AT_ONCE = 1000


@dataclass(frozen=True)
class Wanted:
    """How a metric should be. Without a company it is for everybody, and shown on these portal domains.

    With one it delivers a measure, its own where none is named; `trunk`, `debit_limit` and `is_shown` are of those.
    """

    key: str
    name: str
    unit: str = ""
    decimals: int = 0
    interval: int = 60
    position: int = 0
    company_id: int | None = None
    service_id: int | None = None
    domain_ids: frozenset[int] = frozenset()
    measure: Measure | None = None
    trunk: str = ""
    debit_limit: Decimal | None = None
    is_shown: bool = False


@dataclass(frozen=True)
class Taken:
    """What came of a batch: samples that were new or had another value before, and those that were there already."""

    taken: int
    known: int


class _Held(NamedTuple):
    """What a batch asks of a metric."""

    id: int
    company_id: int | None
    archived_at: datetime | None
    whole_from: datetime | None


class BadSamplesError(Exception):
    """Samples of a batch that cannot be taken, by their place in it, each with a sentence. Nothing was taken."""

    def __init__(self, sentences: Mapping[int, str]) -> None:
        super().__init__(f"{len(sentences)} samples cannot be taken")
        self.sentences = sentences


# Metrics


def add_metric(wanted: Wanted, *, by: Actor, now: datetime) -> Metric:
    """Have something measured from now on."""
    if (db.session.scalar(select(func.count(Metric.id))) or 0) >= METRICS_AT_MOST:
        raise RuleViolation(f"There are {METRICS_AT_MOST:,} metrics already.")
    checked = _checked(wanted, None)
    metric = Metric(**_columns(checked), created_at=now, portals=_portals(checked.domain_ids))
    with _unique(checked):
        db.session.add(metric)
        db.session.flush()
    _ring(checked.domain_ids, checked.company_id)
    _record("metric.add", metric, by=by, now=now, after=_facts(metric))
    return metric


def edit_metric(metric: Metric, wanted: Wanted, *, version: int, by: Actor, now: datetime) -> None:
    """Change a metric: every field as it should be. What it is about stays: its samples are somebody's."""
    if metric.version != version:
        raise StaleEdit
    checked = _checked(wanted, metric.id)
    if checked.company_id != metric.company_id:
        raise RuleViolation("A metric stays with whom it is about. Make another one instead.", "company")
    before, shown_before = _facts(metric), {each.domain_id for each in metric.portals}
    with _unique(checked):
        for name, value in _columns(checked).items():
            setattr(metric, name, value)
        if shown_before != checked.domain_ids:
            metric.portals[:] = [each for each in metric.portals if each.domain_id in checked.domain_ids]
            metric.portals.extend(_portals(checked.domain_ids - shown_before))
            # A row of its own may be all that changed, and whoever has the form open must notice that too.
            flag_modified(metric, "name")
        db.session.flush()
    after = _facts(metric)
    if after == before:
        return
    sources.look_again(metric.id, now)
    _ring(shown_before | checked.domain_ids, metric.company_id)
    _record("metric.edit", metric, by=by, now=now, before=before, after=after)


def archive_metric(metric: Metric, *, version: int, by: Actor, now: datetime) -> None:
    """Take no more samples of it and show it nowhere; what was measured is kept as long as anything is."""
    _put(metric, now, "metric.archive", version=version, by=by, now=now)


def restore_metric(metric: Metric, *, version: int, by: Actor, now: datetime) -> None:
    """Have it measured again, and shown where it was."""
    _put(metric, None, "metric.restore", version=version, by=by, now=now)


def _put(metric: Metric, archived_at: datetime | None, action: str, *, version: int, by: Actor, now: datetime) -> None:
    if metric.version != version:
        raise StaleEdit
    if (metric.archived_at is None) == (archived_at is None):
        return
    with _unique(_wanted_of(metric)):
        metric.archived_at = archived_at
        db.session.flush()
    sources.look_again(metric.id, now)
    _ring(domains_showing(metric.id), metric.company_id)
    _record(action, metric, by=by, now=now, after={"name": metric.name})


# Samples


def take_samples(batch: Sequence[tuple[int, Sample]], now: datetime) -> Taken:
    """Take samples of one metric or several, all of them or none. Of one moment the one that comes last stands.

    RuleViolation for a batch that is too large, BadSamplesError for samples that cannot be taken: of no metric there
    is, of an archived one, of a moment ahead or too long ago.
    """
    if len(batch) > BATCH_AT_MOST:
        raise RuleViolation(f"At most {BATCH_AT_MOST:,} samples are taken at once.", "samples")
    metrics = _held({metric_id for metric_id, _sample in batch})
    days = days_kept()
    earliest = {each.id: taken_from(now, days, each.whole_from) for each in metrics.values()}
    wrong: dict[int, str] = {}
    for place, (metric_id, sample) in enumerate(batch):
        if sentence := _refusal(metrics.get(metric_id), sample.at, now, earliest):
            wrong[place] = sentence
            if len(wrong) == WRONG_AT_MOST:
                break
    if wrong:
        raise BadSamplesError(wrong)
    kept = {(metric_id, sample.at): millionths(sample.value) for metric_id, sample in batch}
    changed = gathering.keep(kept)
    _tell(metrics, kept, changed, now)
    taken = sum(len(moments) for moments in changed.values())
    return Taken(taken, len(batch) - taken)


def take_file(metric: Metric, rows: Iterable[Sequence[str]], *, by: Actor, now: datetime) -> tuple[Taken, list[Line]]:
    """Take what is right in a file of times and values; what is wrong is told line by line."""
    earliest = taken_from(now, days_kept(), metric.whole_from)
    found, wrong = read_lines(rows, now, earliest)
    if len(found) > BATCH_AT_MOST:
        raise RuleViolation(f"A file has at most {BATCH_AT_MOST:,} samples. Take it in parts.", "file")
    if not found and not wrong:
        raise RuleViolation("There is no sample in this file.", "file")
    taken = take_samples([(metric.id, each) for each in found], now)
    _record(
        "metric.upload", metric, by=by, now=now, after={"taken": taken.taken, "known": taken.known, "wrong": len(wrong)}
    )
    return taken, wrong


def _refusal(metric: _Held | None, at: datetime, now: datetime, earliest: Mapping[int, datetime]) -> str | None:
    if metric is None:
        return "There is no such metric."
    if metric.archived_at is not None:
        return "This metric is archived."
    return refusal(at, now, earliest[metric.id])


def _held(metric_ids: Iterable[int]) -> dict[int, _Held]:
    """These metrics, for this transaction alone: two would each gather without the samples of the other."""
    found = db.session.execute(
        select(Metric.id, Metric.company_id, Metric.archived_at, Metric.whole_from)
        .where(Metric.id.in_(set(metric_ids)))
        .order_by(Metric.id)
        .with_for_update()
    )
    return {row.id: _Held(*row) for row in found}


def _tell(
    metrics: Mapping[int, _Held],
    kept: Mapping[tuple[int, datetime], int],
    changed: Mapping[int, Sequence[datetime]],
    now: datetime,
) -> None:
    """Mark what is about companies as having brought something."""
    told: list[Told] = []
    for metric_id, moments in changed.items():
        company_id, last_at = metrics[metric_id].company_id, max(moments)
        if company_id is not None:
            value = Decimal(kept[metric_id, last_at]).scaleb(-6)
            told.append(Told(company_id, SourceKind.METRIC, metric_id, last_at, value))
    sources.note_all(told, now=now)


# What is kept


def forget_samples(before: datetime, limit: int) -> int:
    """Forget some of what was kept sample by sample on days of UTC that were over before this moment."""
    return _forget(MetricSample.__table__.c, (), before, limit)


def forget_figures(step: Step, before: datetime, limit: int) -> int:
    """Forget some figures of a step, of days that were over before this moment."""
    columns = MetricFigure.__table__.c
    return _forget(columns, (columns.step == step,), before, limit)


def _forget(columns: Any, conditions: Sequence[Any], before: datetime, limit: int) -> int:
    """Forget the oldest rows of one metric that has some. From then on no late sample is counted of those days."""
    cut = Step.DAY.begin(before)
    old = (*conditions, columns.at < cut)
    of_metric = select(columns.at).where(columns.metric_id == Metric.id, *old).exists()
    metric_id = db.session.scalar(select(Metric.id).where(of_metric).order_by(Metric.id).limit(1))
    if metric_id is None:
        return 0
    mine = (columns.metric_id == metric_id, *old)
    last = db.session.scalar(
        select(func.max(select(columns.at).where(*mine).order_by(columns.at).limit(limit).subquery().c.at))
    )
    # Past the version: whoever has the form open may still save it.
    db.session.execute(
        update(Metric)
        .where(Metric.id == metric_id, or_(Metric.whole_from.is_(None), Metric.whole_from < cut))
        .values(whole_from=cut)
        .execution_options(synchronize_session=False)
    )
    gone: Any = db.session.execute(delete(columns.at.table).where(*mine, columns.at <= last))
    return int(gone.rowcount)


# Small steps


def _checked(wanted: Wanted, own_id: int | None) -> Wanted:
    key, name, unit = wanted.key.strip(), one_line(wanted.name), one_line(wanted.unit)
    if len(key) > KEY_LENGTH or not KEY.fullmatch(key):
        raise RuleViolation("A key is made of small letters, digits, points, dashes and underscores.", "key")
    if is_key_taken(key, own_id):
        raise _taken(key)
    if not 1 <= len(name) <= NAME_LENGTH:
        raise RuleViolation(f"Give the metric a name of at most {NAME_LENGTH} characters.", "name")
    if len(unit) > UNIT_LENGTH:
        raise RuleViolation(f"A unit has at most {UNIT_LENGTH} characters.", "unit")
    _check_numbers(wanted)
    _check_known(wanted)
    return replace(_check_measure(wanted, own_id), key=key, name=name, unit=unit)


def _check_measure(wanted: Wanted, own_id: int | None) -> Wanted:
    """The same with the measure it delivers."""
    if wanted.company_id is None:
        if wanted.measure or wanted.trunk.strip() or wanted.debit_limit is not None or wanted.is_shown:
            raise RuleViolation("Only a metric of a company has a measure, a trunk or a limit.", "measure")
        return wanted
    measure, trunk = wanted.measure or Measure.CUSTOM, one_line(wanted.trunk)
    _check_limit(wanted.debit_limit, measure)
    if not measure.is_sampled:
        raise RuleViolation("This is counted from call records or the balance: no samples are taken of it.", "measure")
    if len(trunk) > TRUNK_LENGTH:
        raise RuleViolation(f"A trunk has at most {TRUNK_LENGTH} characters.", "trunk")
    if wanted.is_shown and (measure is not Measure.CUSTOM or trunk):
        raise RuleViolation("Only a figure of its own is shown by a switch, and none of a trunk is.", "is_shown")
    if is_measured(wanted.company_id, wanted.service_id, trunk, measure, own_id):
        raise _measured(measure)
    return replace(wanted, measure=measure, trunk=trunk)


def _check_limit(limit: Decimal | None, measure: Measure) -> None:
    if limit is None:
        return
    if measure is not Measure.BALANCE:
        raise RuleViolation("Only a balance has a debit limit.", "debit_limit")
    if abs(limit) > LARGEST:
        raise RuleViolation("A debit limit has at most twelve digits before the point.", "debit_limit")


@contextmanager
def _unique(wanted: Wanted) -> Iterator[None]:
    """Write what has a key and a measure; RuleViolation where somebody else takes either at the same moment."""
    try:
        with db.session.begin_nested():
            yield
    except IntegrityError:
        measure = wanted.measure
        if measure and is_measured(wanted.company_id, wanted.service_id, wanted.trunk, measure, None):
            raise _measured(measure) from None
        if not is_key_taken(wanted.key, None):
            raise
        raise _taken(wanted.key) from None


def _measured(measure: Measure) -> RuleViolation:
    return RuleViolation(
        f"Another metric delivers {measure.value} of this company there already. Archive that one first.", "measure"
    )


def _taken(key: str) -> RuleViolation:
    return RuleViolation(f"There is a metric with the key {key} already.", "key")


def _check_numbers(wanted: Wanted) -> None:
    if not 0 <= wanted.decimals <= DECIMALS_AT_MOST:
        raise RuleViolation(f"Between 0 and {DECIMALS_AT_MOST} digits stand behind the point.", "decimals")
    if not SHORTEST_INTERVAL <= wanted.interval <= LONGEST_INTERVAL:
        raise RuleViolation("A sample is due between once a second and once a day (86,400 seconds).", "interval")
    if not 0 <= wanted.position <= LARGEST_POSITION:
        raise RuleViolation(f"The place is a number from 0 to {LARGEST_POSITION:,}.", "position")


def _check_known(wanted: Wanted) -> None:
    if wanted.company_id is not None:
        if wanted.domain_ids:
            raise RuleViolation("A metric of one company stands on no public page.", "portals")
        company = db.session.get(Company, wanted.company_id)
        if company is None or company.archived_at is not None:
            raise RuleViolation("There is no such company.", "company")
    if wanted.service_id is not None and db.session.get(Service, wanted.service_id) is None:
        raise RuleViolation("There is no such service.", "service")
    known = select(func.count(PortalDomain.id)).where(PortalDomain.id.in_(wanted.domain_ids))
    if wanted.domain_ids and db.session.scalar(known) != len(wanted.domain_ids):
        raise RuleViolation("There is no such portal domain.", "portals")


def _columns(wanted: Wanted) -> dict[str, Any]:
    return {name: value for name, value in vars(wanted).items() if name != "domain_ids"}


def _wanted_of(metric: Metric) -> Wanted:
    return Wanted(**{each.name: getattr(metric, each.name) for each in fields(Wanted) if each.name != "domain_ids"})


def _portals(domain_ids: Iterable[int]) -> list[MetricPortal]:
    return [MetricPortal(domain_id=each) for each in sorted(domain_ids)]


def _ring(domain_ids: Iterable[int], company_id: int | None) -> None:
    events.ring(events.STAFF, *(events.public_topic(each) for each in domain_ids))
    if company_id is not None:
        events.ring(sources.topic(company_id))


def _facts(metric: Metric) -> dict[str, Any]:
    names = ("key", "name", "unit", "decimals", "interval", "position", "company_id", "service_id")
    of_company = ("measure", "trunk", "is_shown") if metric.company_id is not None else ()
    return {
        **{name: getattr(metric, name) for name in (*names, *of_company)},
        **({"debit_limit": str(metric.debit_limit)} if metric.debit_limit is not None else {}),
        "portals": sorted(each.domain_id for each in metric.portals),
    }


def _record(
    action: str,
    metric: Metric,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(
        action,
        object_kind="metric",
        object_id=metric.id,
        by=by,
        now=now,
        company_id=metric.company_id,
        before=before,
        after=after,
    )
