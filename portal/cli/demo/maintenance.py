"""The maintenance of the demo business: past, under way, ahead and repeating, by the actions staff use. It mails nobody."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.accounts.models import Company
from portal.audit.rules import Actor
from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions.by_clock import look_after
from portal.incidents.actions.requests import add_freeze
from portal.incidents.actions.series import SeriesPlan, plan_series
from portal.incidents.rules.maintenance import Plan, WorkImpact

LONDON, BERLIN = "Europe/London", "Europe/Berlin"


class Work(NamedTuple):
    """Planned work: on what, announced and starting so many hours from now (before it where negative), how long.

    What is more than a day away starts at two at night. `done` is what is said at its end, "" if nothing yet.
    """

    title: str
    components: tuple[str, ...]
    announced: int
    starts: int
    minutes: int
    zone: str
    impact: WorkImpact
    body: str
    done: str = ""


DAY = 24

WORKS = (
    Work(
        "New fibre distributor in Holzkirchen",
        ("fibre-s",),
        -62 * DAY,
        -55 * DAY,
        150,
        BERLIN,
        WorkImpact.OUTAGE,
        "We replace the distributor your lines run through. Each line is down for about twenty minutes; where there is "
        "a mobile backup, it takes over.",
        "The distributor is in service, and every line was measured. The longest was down for seventeen minutes.",
    ),
    Work(
        "Security update of the mail tenants",
        ("m365",),
        -33 * DAY,
        -26 * DAY,
        60,
        BERLIN,
        WorkImpact.NO_IMPACT,
        "We switch off an old way to sign in that nobody should use any more. There is nothing you need to do.",
        "Done. Nobody had signed in that way for weeks.",
    ),
    Work(
        "More space for the backup vault",
        ("backup",),
        -5 * DAY,
        -1,
        240,
        LONDON,
        WorkImpact.REDUCED_REDUNDANCY,
        "We add disks to the vault. Backups run as always; restoring one may take longer until we are done.",
    ),
    Work(
        "New software for the hosted exchange",
        ("pbx",),
        -2 * DAY,
        5 * DAY,
        120,
        LONDON,
        WorkImpact.OUTAGE,
        "We update the exchange at night. **Calls end once and cannot be made for up to ten minutes**, then your phones "
        "register by themselves. Voicemail takes messages meanwhile.",
    ),
    Work(
        "Second path between Leeds and Manchester",
        ("core",),
        -DAY,
        12 * DAY,
        180,
        LONDON,
        WorkImpact.REDUCED_REDUNDANCY,
        "We connect a second fibre path. While we work there is only one; traffic is not interrupted.",
    ),
)

REPEATING = (
    "Restart of the remote access gateway",
    ("vpn",),
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=WE",
    30,
    LONDON,
    "The gateway is restarted with its updates. Connections end once; sign in again after a minute.",
)

QUIET = (
    ("Roundhay Primary Academy", 4 * DAY, 3 * DAY, "Exams: please nothing near the phones"),
    ("Yarrow Wealth Management", 30 * DAY, 9 * DAY, "Year-end closing"),
)
"""Companies that want nothing touched: from so many hours on, for so many."""


def plan_it(components: Mapping[str, Component], by: Actor, now: datetime) -> None:
    """Plan all of it, each at its time."""
    for number, work in enumerate(WORKS):
        _plan(work, components, by, now, f"demo:maintenance:{number}")
    title, keys, rule, minutes, zone, body = REPEATING
    first = (now.astimezone(ZoneInfo(zone)) + timedelta(days=2)).replace(hour=4, minute=0, tzinfo=None)
    plan_series(
        SeriesPlan(
            title=title,
            body=body,
            component_ids=frozenset(components[key].id for key in keys),
            rule=rule,
            starts_on=first,
            duration=timedelta(minutes=minutes),
            zone=zone,
            notify=False,
        ),
        by=by,
        author_id=by.person_id,
        now=now - timedelta(hours=3),
        idempotency_key="demo:series",
    )
    for name, begins, lasts, reason in QUIET:
        company_id = db.session.scalars(select(Company.id).where(Company.name == name)).one()
        starts_at = (now + timedelta(hours=begins)).replace(minute=0, second=0, microsecond=0)
        add_freeze(
            company_id,
            starts_at,
            starts_at + timedelta(hours=lasts),
            reason,
            zone=LONDON,
            by=by,
            author_id=None,
            now=now - timedelta(days=6),
            idempotency_key=f"demo:freeze:{name}",
        )


def _plan(work: Work, components: Mapping[str, Component], by: Actor, now: datetime, key: str) -> None:
    starts_at = (now + timedelta(hours=work.starts)).replace(second=0, microsecond=0)
    starts_at = starts_at.replace(minute=starts_at.minute // 15 * 15)
    if abs(work.starts) > DAY:
        starts_at = starts_at.astimezone(ZoneInfo(work.zone)).replace(hour=2, minute=0).astimezone(UTC)
    made = acts.plan(
        Plan(
            title=work.title,
            body=work.body,
            component_ids=frozenset(components[each].id for each in work.components),
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=work.minutes),
            zone=work.zone,
            impact=work.impact,
            notify=False,
        ),
        by=by,
        author_id=by.person_id,
        now=now + timedelta(hours=work.announced),
        idempotency_key=key,
    )
    if starts_at <= now:
        look_after(made.id, starts_at)
    if work.done:
        acts.complete(
            made,
            work.done,
            notify=False,
            version=made.version,
            by=by,
            author_id=by.person_id,
            now=starts_at + timedelta(minutes=work.minutes * 5 // 6),
            idempotency_key=f"{key}:done",
        )
