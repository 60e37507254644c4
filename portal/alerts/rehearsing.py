"""Rehearsal: what an alert, as it stands in a form, would have done in the last thirty days for one company.

Nothing is written, and nobody hears of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select

from portal.alerts import scripts
from portal.alerts.actions.evaluating import subject_of, zones_of
from portal.alerts.rules import AlertArea
from portal.alerts.rules.checks import condition_of
from portal.alerts.rules.rehearsal import Rehearsal, rehearse
from portal.extensions import db
from portal.filters import full_duration
from portal.usage.models import Metric
from portal.usage.readings import Reading, Subject, history
from portal.usage.rules import Measure

PERIOD = timedelta(days=30)

FIGURES_AT_ONCE = 2
"""Figures of a script whose thirty days are gone through in a moment. Of one with more the past is shorter by as much,
and the rehearsal says since when it is."""


def rehearsed(alert: Any, company_id: int, now: datetime) -> Rehearsal:
    """What an alert would have done for a company: `alert` is one that is kept, or one that is asked for and tidied.

    ScriptError where its script is none. At most four queries a figure and two more.
    """
    zone = zones_of([company_id]).get(company_id, "UTC") if alert.repeat_hour is not None and not alert.zone else "UTC"
    if alert.area is AlertArea.SCRIPT:
        readings = _of_script(scripts.read(alert.script), alert, company_id, now)
    else:
        readings = history(subject_of(alert, company_id), now - PERIOD, now)
    return rehearse(condition_of(alert, zone), readings, now)


def _of_script(script: scripts.Script, alert: Any, company_id: int, now: datetime) -> list[Reading]:
    wanted = scripts.subjects(script, company_id, alert.service_id, alert.trunk, metric_ids(company_id, script.keys))
    begins = now - PERIOD * FIGURES_AT_ONCE / max(FIGURES_AT_ONCE, len(wanted))
    histories = {subject: history(subject, begins, now) for subject in set(wanted.values())}
    return list(joined(script, wanted, histories))


def joined(
    script: scripts.Script, wanted: Mapping[scripts.Need, Subject], histories: Mapping[Subject, Sequence[Reading]]
) -> Iterator[Reading]:
    """What a script came to whenever one of its figures changed, minute by minute; said where it is another thing."""
    changes: dict[datetime, dict[Subject, Reading]] = {}
    for subject, readings in histories.items():
        for each in readings:
            changes.setdefault(_minute(each.at), {})[subject] = each
    held: dict[Subject, Reading] = {}
    before = None
    for at in sorted(changes):
        held.update(changes[at])
        found = scripts.reading(script, wanted, held, at)
        if (found.value, found.is_stale) != before:
            before = found.value, found.is_stale
            yield replace(found, at=max(each.at for each in changes[at].values()), next_at=None)


def _minute(at: datetime) -> datetime:
    """The full minute a moment is in."""
    return at.replace(second=0, microsecond=0)


def metric_ids(company_id: int, keys: set[str]) -> dict[str, int]:
    """The metrics of a company that scripts may name, of these keys. One query, none where none is named."""
    if not keys:
        return {}
    rows = db.session.execute(
        select(Metric.key, Metric.id).where(
            Metric.key.in_(keys),
            Metric.company_id == company_id,
            Metric.measure == Measure.CUSTOM,
            Metric.archived_at.is_(None),
        )
    )
    return {row.key: row.id for row in rows}


def sentences(found: Rehearsal) -> list[str]:
    """What came of it, in the words of whoever reads."""
    if found.begins is None:
        return [_("There are no figures of the last 30 days to try this on.")]
    said = [_mails(found, len(found.mails))]
    if found.longest is not None:
        length = full_duration(found.longest.length)
        said.append(
            _("The longest alert lasted %(length)s.", length=length)
            if found.longest.is_over
            else _("The longest alert has lasted %(length)s and would still be there.", length=length)
        )
    held_back = (
        (found.by_reset, _by_reset),
        (found.by_must_last, _by_must_last),
        (found.by_must_be_well, _by_must_be_well),
        (found.by_least_count, _by_least_count),
    )
    said += [sentence(number) for number, sentence in held_back if number]
    if found.without_data >= timedelta(minutes=1):
        said.append(_("For %(length)s there was nothing to judge by.", length=full_duration(found.without_data)))
    return said


def _mails(found: Rehearsal, number: int) -> str:
    period = full_duration(found.ends - (found.begins or found.ends) + timedelta(seconds=59))
    if not number:
        return str(_("Looking back %(period)s, it would have sent no mail.", period=period))
    return str(
        ngettext(
            "Looking back %(period)s, it would have sent %(num)d mail.",
            "Looking back %(period)s, it would have sent %(num)d mails.",
            number,
            period=period,
        )
    )


def _by_reset(number: int) -> str:
    return str(
        ngettext(
            "%(num)d more was held back by the reset value.", "%(num)d more were held back by the reset value.", number
        )
    )


def _by_must_last(number: int) -> str:
    return str(
        ngettext(
            "%(num)d more was held back because it did not last.",
            "%(num)d more were held back because it did not last.",
            number,
        )
    )


def _by_must_be_well(number: int) -> str:
    return str(
        ngettext(
            "%(num)d more was held back because it was not well for long enough.",
            "%(num)d more were held back because it was not well for long enough.",
            number,
        )
    )


def _by_least_count(number: int) -> str:
    return str(
        ngettext(
            "%(num)d more was held back because there were too few calls.",
            "%(num)d more were held back because there were too few calls.",
            number,
        )
    )
