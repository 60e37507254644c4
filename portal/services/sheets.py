"""The ledger of availability as CSV: a line for each holding, with what it was counted by and what lay on it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from portal.accounts.rules import Viewpoint
from portal.filters import look
from portal.incidents.rules.availability import Counts
from portal.records.rules.files import line_of
from portal.services.queries.behind import Cause
from portal.services.queries.ledger import CompanyMonth, Line, Named, names_of

COMPANIES_AT_ONCE = 100
"""Companies of which the causes are named in one go."""

_MINUTE = timedelta(minutes=1)

Address = Callable[[Named, Line], str]
"""Where what lay on a holding can be read, as a whole address; "" where it cannot."""


def written(
    months: Iterable[CompanyMonth], viewpoint: Viewpoint, address: Address, now: datetime, *, of_many: bool
) -> Iterator[str]:
    """The lines of the file, its headings first, in the reader's language. `of_many` names the company in each line.

    Times are those of the zone in the line. Memory holds some hundred companies.
    """
    yield headings(of_many=of_many)
    yield from lines(months, viewpoint, address, now, of_many=of_many)


def lines(
    months: Iterable[CompanyMonth], viewpoint: Viewpoint, address: Address, now: datetime, *, of_many: bool
) -> Iterator[str]:
    """The lines of these months, without the headings."""
    waiting, words = iter(months), _words()
    while some := list(islice(waiting, COMPANIES_AT_ONCE)):
        names = names_of({cause for month in some for line in month.lines for cause in line.causes}, viewpoint, now)
        for month in some:
            for line in month.lines:
                yield line_of(_cells(month, line, names, address, words, of_many=of_many))


def headings(*, of_many: bool) -> str:
    """The first line of the file."""
    company = [_("Company"), _("Company number")] if of_many else []
    names = [
        *company,
        _("Category"),
        _("Service"),
        _("Reference"),
        _("Month"),
        _("Time zone"),
        _("From"),
        _("To"),
        _("Minutes"),
        _("Minutes left out (agreed maintenance)"),
        _("Minutes measured"),
        _("Minutes down"),
        _("Minutes partly down"),
        _("Minutes slow"),
        _("Minutes of other maintenance"),
        _("Minutes counted as down"),
        _("Availability (%)"),
        _("Target (%)"),
        _("Target met"),
        _("Partly down counts (%)"),
        _("Slow counts (%)"),
        _("Maintenance"),
        _("Because of"),
    ]
    return line_of(names)


@dataclass(frozen=True)
class _Words:
    """What nearly every line says, in the reader's language; looked up once for all of them.

    `left_out` says when maintenance is left out, by the hours of notice it takes; `None` where it counts as down.
    """

    is_met: Mapping[bool | None, str]
    left_out: Callable[[int | None], str]


def _words() -> _Words:
    @cache
    def left_out(hours: int | None) -> str:
        said = _("counts as down") if hours is None else _("left out when announced %(hours)d hours ahead", hours=hours)
        return str(said)

    return _Words({None: "", True: _("Yes"), False: _("No")}, left_out)


def _cells(
    month: CompanyMonth, line: Line, names: Mapping[Cause, Named], address: Address, words: _Words, *, of_many: bool
) -> list[str]:
    zone, counted, terms = ZoneInfo(month.zone), line.account, month.terms
    company = [month.name, month.external_id or ""] if of_many else []
    return [
        *company,
        line.category,
        line.name,
        line.reference,
        str(month.month),
        month.zone,
        line.since.astimezone(zone).isoformat(timespec="minutes"),
        line.until.astimezone(zone).isoformat(timespec="minutes"),
        _minutes(counted.span),
        _minutes(counted.of(Counts.LEFT_OUT)),
        _minutes(counted.measured),
        _minutes(counted.of(Counts.DOWN)),
        _minutes(counted.of(Counts.PARTIAL)),
        _minutes(counted.of(Counts.PERFORMANCE_ISSUE)),
        _minutes(counted.of(Counts.WORK)),
        _minutes(counted.down),
        _percent(counted.thousandths),
        _percent(line.target) if line.target is not None else "",
        words.is_met[line.is_met],
        str(terms.weights.partial),
        str(terms.weights.performance),
        words.left_out(None if terms.counts_maintenance else terms.notice_hours),
        " | ".join(_told(names[cause], line, address) for cause in line.causes if cause in names),
    ]


def title_of(named: Named) -> str:
    """What lay on a holding, by its title, or by the status that was stated."""
    return named.title or (look("service", named.status).label if named.status else "")


def _told(named: Named, line: Line, address: Address) -> str:
    where = address(named, line)
    return f"{title_of(named)} ({where})" if where else title_of(named)


def _minutes(span: timedelta) -> str:
    """Minutes with two places, and a point whatever the language: for machines."""
    return f"{span / _MINUTE:.2f}"


def _percent(thousandths: int) -> str:
    return f"{thousandths // 1000}.{thousandths % 1000:03}"
