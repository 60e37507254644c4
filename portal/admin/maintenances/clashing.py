"""What else the companies of planned work have at that time, by company: the sum of what several capabilities know."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import url_for

from portal.incidents.queries.maintenance import clashes
from portal.services.queries.clashing import scheduled_meanwhile, troubled_now

NAMED_AT_MOST = 30
"""How many companies with clashes are named; the rest is a number."""

ROWS_AT_MOST = 300
"""How many clashes of a kind are looked at."""

SOON = timedelta(hours=24)
"""An incident that is open now matters to work that begins within this; later it will be over."""


@dataclass(frozen=True)
class What:
    """One thing a company has at that time."""

    word: str
    title: str
    href: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass
class Clash:
    """What a company has at that time; `holdings` are how many of its services the work touches, 0 if not counted."""

    company_id: int
    company: str
    holdings: int = 0
    what: list[What] = field(default_factory=list)


@dataclass(frozen=True)
class Clashes:
    """The companies that have something else: the first by name, how many there are (`is_more`: at least), and how
    many of those named asked for no work."""

    companies: Sequence[Clash]
    total: int
    is_more: bool
    freezes: int


FREEZE, WORK, SERVICE, INCIDENT = "Asks for no work:", "Other maintenance:", "Scheduled service:", "Open incident:"


def clashes_of(
    component_ids: Collection[int], starts_at: datetime, ends_at: datetime, now: datetime, *, but: int | None = None
) -> Clashes:
    """What they have between these moments, `but` for the maintenance itself. Nothing is asked without components.

    At most sixteen queries, whatever the number of companies.
    """
    ids = sorted(component_ids)
    if not ids:
        return Clashes((), 0, is_more=False, freezes=0)
    known = clashes(ids, starts_at, ends_at, now, but=but)
    scheduled = scheduled_meanwhile(ids, starts_at, ends_at, now, ROWS_AT_MOST)
    troubled = troubled_now(ids, now, ROWS_AT_MOST) if starts_at - now < SOON else []
    found: dict[int, Clash] = {}
    for each in known.items:
        found[each.company_id] = Clash(each.company_id, each.name, each.holdings)
        found[each.company_id].what += [
            What(FREEZE, frozen.reason or "no reason given", None, frozen.starts_at, frozen.ends_at)
            for frozen in each.freezes
        ]
        found[each.company_id].what += [
            What(
                WORK,
                work.title,
                url_for("admin_maintenances.maintenance", maintenance_id=work.id),
                work.starts_at,
                work.ends_at,
            )
            for work in each.works
        ]
    for window in scheduled:
        address = url_for("admin_service_status.window", window_id=window.window_id)
        title = window.service if window.services == 1 else f"{window.service} and {window.services - 1} more"
        clash = found.setdefault(window.company_id, Clash(window.company_id, window.company))
        clash.what.append(What(SERVICE, title, address, window.starts_at, window.ends_at))
    for hit in troubled:
        address = url_for("admin_incidents.incident", incident_id=hit.incident_id)
        clash = found.setdefault(hit.company_id, Clash(hit.company_id, hit.company))
        clash.what.append(What(INCIDENT, hit.title, address))
    listed = sorted(found.values(), key=lambda clash: (all(what.word != FREEZE for what in clash.what), clash.company))
    return Clashes(
        companies=listed[:NAMED_AT_MOST],
        total=max(known.total, len(listed)),
        is_more=known.total > len(known.items) or max(len(scheduled), len(troubled)) >= ROWS_AT_MOST,
        freezes=sum(1 for clash in listed if any(what.word == FREEZE for what in clash.what)),
    )
