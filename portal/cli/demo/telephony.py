"""The calls and the money of a few demo companies: a month of each, with an evening on which one trunk failed."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import select

from portal.accounts.actions import tag_company
from portal.accounts.models import Company
from portal.audit.rules import Actor
from portal.extensions import db
from portal.usage.actions import Wanted, add_metric, take_samples
from portal.usage.calls.actions import take_calls
from portal.usage.calls.rules import Call, Outcome, milliseconds
from portal.usage.rules import Measure, Sample

DAYS = 29
"""Within what is kept sample by sample, or the first of them would be too late."""


class Caller(NamedTuple):
    """A company that telephones: how many calls on a working day, with what currency, limit and trunks."""

    name: str
    calls: int
    own: str
    currency: str
    limit: int
    trunks: tuple[str, str]
    carrier: str
    tags: tuple[str, ...]


CALLERS = (
    Caller("Pennine Contact Centres", 90, "+44113496", "GBP", 500, ("LON-2", "LDS-1"), "Transit West", ("wholesale",)),
    Caller("Kirkstall Logistics", 45, "+44113497", "GBP", 0, ("LON-1", "LDS-1"), "Transit West", ("trunks",)),
    Caller("Alder & Vale Solicitors", 25, "+44113498", "GBP", 0, ("LON-1", "LON-1"), "Transit West", ()),
    Caller("Ammersee Segelschule", 20, "+49815296", "EUR", 100, ("FRA-1", "FRA-2"), "Südnetz Transit", ()),
)

RESULTS = (
    (Outcome.BUSY, 486, 30),
    (Outcome.NO_ANSWER, 480, 45),
    (Outcome.REJECTED, 603, 5),
    (Outcome.NOT_FOUND, 404, 12),
    (Outcome.FAILED, 503, 8),
)
"""How calls end that are not answered: the SIP response, and how often."""


def telephone(by: Actor, now: datetime) -> None:
    """Give each of the callers its month."""
    dice = random.Random(29)  # noqa: S311 (the same month every time)
    found = db.session.scalars(select(Company).where(Company.name.in_([each.name for each in CALLERS])))
    companies = {company.name: company for company in found}
    for number, caller in enumerate(CALLERS):
        company = companies[caller.name]
        tag_company(company, caller.tags, version=company.version, by=by, now=now)
        take_calls([(company.id, call) for call in _month(caller, now, dice)], now)
        _money(company, caller, by, now, dice)
        if number == 0:
            _telephones(company, by, now, dice)


def _month(caller: Caller, now: datetime, dice: random.Random) -> Iterator[Call]:
    """Calls of working hours, fewer at weekends, and a few that go on at this moment."""
    for day in range(DAYS, -1, -1):
        date = now - timedelta(days=day)
        busy = caller.calls if date.weekday() < 5 else caller.calls // 6
        for number in range(busy):
            hour = dice.triangular(7, 20, 11)
            started = date.replace(hour=0, minute=0, second=0) + timedelta(hours=hour)
            if started < now - timedelta(minutes=30):
                is_trouble = day == 6 and 16 <= hour < 18
                yield _call(caller, f"{day:02}{number:03}", started, dice, is_trouble=is_trouble)
    for number in range(9):
        yield _call(caller, f"now{number}", now - timedelta(minutes=27 + 3 * number), dice, is_trouble=False)
    for number in range(2):
        at = milliseconds(now - timedelta(minutes=3, seconds=40 * number))
        call = _call(caller, f"on{number}", now - timedelta(hours=1), dice, is_trouble=False)
        talks = call._replace(started=at, ringing=at + 1400, answered=at + 8000, outcome=Outcome.ANSWERED, code=200)
        yield talks._replace(ended=None)


def _call(caller: Caller, name: str, started: datetime, dice: random.Random, *, is_trouble: bool) -> Call:
    at = milliseconds(started)
    outside = f"{caller.own[:3]}{dice.choice(('20', '30', '161', '89'))}{dice.randrange(1_000_000, 9_999_999)}"
    inside = f"{caller.own}{dice.randrange(1000, 9999)}"
    is_out = dice.random() < 0.6
    rings = at + round(dice.lognormvariate(7.2, 0.35)) + (2500 if is_trouble else 0)
    is_answered = dice.random() < (0.12 if is_trouble else 0.68)
    trunk = caller.trunks[0 if is_trouble or dice.random() < 0.7 else 1]
    call_id = f"{dice.getrandbits(48):012x}-{name}@sbc.example"
    if is_answered:
        answered = rings + dice.randrange(1500, 14_000)
        ended, code, outcome = answered + round(dice.lognormvariate(11.3, 0.9)), 200, Outcome.ANSWERED
    else:
        kinds = RESULTS[-1:] if is_trouble else RESULTS
        outcome, code, _share = dice.choices(kinds, [each[2] for each in kinds])[0]
        answered, ended = None, rings + dice.randrange(500, 25_000)
    never_rang = outcome in {Outcome.FAILED, Outcome.NOT_FOUND, Outcome.BUSY}
    ended = min(ended, at + 25 * 60_000)
    return Call(
        call_id,
        inside if is_out else outside,
        outside if is_out else inside,
        at,
        None if never_rang else rings,
        answered,
        ended,
        outcome,
        code,
        trunk,
        caller.carrier,
        None,
    )


def _money(company: Company, caller: Caller, by: Actor, now: datetime, dice: random.Random) -> None:
    """The balance by the hour, topped up every nine days."""
    made = now - timedelta(days=DAYS)
    limit = Decimal(caller.limit) if caller.limit else None
    wanted = Wanted(
        f"balance-{company.id}",
        f"Balance of {caller.name}",
        caller.currency,
        2,
        3600,
        company_id=company.id,
        measure=Measure.BALANCE,
        debit_limit=limit,
    )
    balance, amount, batch = add_metric(wanted, by=by, now=made), Decimal(caller.calls * 4), []
    for hours in range(DAYS * 24 - 1, -1, -1):
        at = now - timedelta(hours=hours)
        if 7 <= at.hour < 20:
            amount -= (Decimal(caller.calls) * Decimal(dice.randrange(20, 50)) / 1000).quantize(Decimal("0.01"))
        if hours % 216 == 100:
            amount += caller.calls * 8
        batch.append((balance.id, Sample(at, amount)))
    take_samples(batch, now)


def _telephones(company: Company, by: Actor, now: datetime, dice: random.Random) -> None:
    """A figure of its own: how many telephones are signed in, every quarter of an hour."""
    wanted = Wanted("signed-in-telephones", "Telephones signed in", "", 0, 900, company_id=company.id, is_shown=True)
    metric = add_metric(wanted, by=by, now=now - timedelta(days=DAYS))
    quarters = [now - timedelta(minutes=15 * each) for each in range(DAYS * 96)]
    counted = [(at, 48 if 7 <= at.hour < 19 else 12) for at in quarters]
    take_samples([(metric.id, Sample(at, Decimal(most - dice.randrange(6)))) for at, most in counted], now)
