"""Stating how the services of the demo business are and were, by the actions staff use, each at its time."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.accounts.models import Company
from portal.audit.rules import Actor
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.cli.demo import stated
from portal.cli.demo.stated import Spell, Work
from portal.extensions import db
from portal.services.actions import finish_window, set_status
from portal.services.actions.clockwork import look_after
from portal.services.actions.starters import keep
from portal.services.models import ServiceUpdate, ServiceWindow
from portal.services.rules import PROBLEMS, Scope, ServiceStatus, Wanted, next_nag

HOURS = (8, 9, 9, 10, 11, 13, 14, 15, 16)
"""When problems began, by the clock in UTC."""

Step = tuple[datetime, Callable[[], object]]


def state_them(services: Mapping[str, Service], by: Actor, now: datetime) -> None:
    """State all of it, the oldest first. It mails nobody."""
    for status, title, body in stated.STARTERS:
        keep(status, title, body, by=by, author_id=by.person_id, now=now - timedelta(days=200))
    desk = Desk(services, by, now)
    dice = random.Random(2028)  # noqa: S311 (the same year every time)
    steps: list[Step] = []
    for spell in stated.PAST:
        for days in spell.days:
            began = (now - timedelta(days=days)).replace(hour=dice.choice(HOURS), minute=dice.randrange(60))
            steps += desk.spell(spell, began, f"{spell.service}:{days}")
    for spell in stated.OPEN:
        steps += desk.spell(spell, now, f"{spell.service}:open")
    for number, work in enumerate(stated.WORKS):
        steps += desk.work(work, f"work:{number}")
    for _at, act in sorted(steps, key=lambda step: step[0]):
        act()


class Desk:
    """Whoever states it, with the services by key."""

    def __init__(self, services: Mapping[str, Service], by: Actor, now: datetime) -> None:
        self.services = services
        self.by = by
        self.now = now

    def spell(self, spell: Spell, began: datetime, key: str) -> list[Step]:
        """What is said of a problem, one step after the other."""
        steps: list[Step] = []
        moment = began
        for number, said in enumerate(spell.said):
            moment += timedelta(minutes=said.after)
            wanted = Wanted(
                said.status,
                said.notes,
                ticket=spell.ticket,
                ends_at=self._estimate(spell, said.status, moment),
                began_at=moment - timedelta(minutes=4) if said.status in PROBLEMS and not number else None,
                notify=False,
            )
            steps.append((moment, self._stating(spell.service, spell.companies, wanted, moment, f"{key}:{number}")))
        return steps

    def work(self, work: Work, key: str) -> list[Step]:
        """The announcement of scheduled service, its start where it has begun, and its end where it is done."""
        announced = self.now + timedelta(minutes=work.announced)
        starts_at = (self.now + timedelta(minutes=work.starts)).replace(second=0, microsecond=0)
        starts_at = starts_at.replace(minute=starts_at.minute // 15 * 15)
        if abs(work.starts) >= stated.DAY:
            starts_at = starts_at.astimezone(ZoneInfo(work.zone)).replace(hour=1, minute=0).astimezone(UTC)
        ends_at = starts_at + timedelta(minutes=work.minutes)
        wanted = Wanted(
            ServiceStatus.SCHEDULED,
            work.notes,
            starts_at=starts_at,
            ends_at=ends_at,
            zone=work.zone,
            ticket=work.ticket,
            notify=False,
        )
        steps: list[Step] = [(announced, self._stating(work.service, work.companies, wanted, announced, key))]
        remind_at = starts_at - timedelta(hours=24)
        steps += [(at, self._clock(key, at)) for at in (remind_at, starts_at) if announced < at <= self.now]
        done_at = ends_at - timedelta(minutes=work.minutes // 6)
        if done_at <= self.now:
            steps.append((done_at, self._finish(key, work.done, done_at)))
        return steps

    def _estimate(self, spell: Spell, status: ServiceStatus, moment: datetime) -> datetime | None:
        minutes = stated.ESTIMATES.get(spell.service)
        is_open = spell in stated.OPEN and status in PROBLEMS
        return self.now + timedelta(minutes=minutes) if minutes and is_open else None

    def _stating(
        self, service: str, companies: Sequence[str], wanted: Wanted, moment: datetime, key: str
    ) -> Callable[[], object]:
        def act() -> None:
            held = select(Holding.id).where(Holding.service_id == self.services[service].id, is_valid(Holding, moment))
            if companies:
                held = held.join(Company, Company.id == Holding.company_id).where(Company.name.in_(companies))
            made = set_status(
                db.session.scalars(held.order_by(Holding.id)).all(),
                wanted,
                scope=(Scope.ONE if len(companies) == 1 else Scope.CHOSEN) if companies else Scope.ALL,
                chosen={} if companies else {"everybody": True},
                by=self.by,
                author_id=self.by.person_id,
                now=moment,
                idempotency_key=f"demo:{key}",
            )
            self._ask_later(made, moment)

        return act

    def _ask_later(self, made: ServiceUpdate, moment: datetime) -> None:
        """As if staff had been asked whenever they should have been: a demo does not begin with letters to them."""
        while made.nag_at is not None and made.nag_at <= self.now:
            made.nags += 1
            made.nag_at = next_nag(moment, made.nag_at)

    def _clock(self, key: str, at: datetime) -> Callable[[], object]:
        return lambda: look_after(self._window(key).id, at)

    def _finish(self, key: str, notes: str, at: datetime) -> Callable[[], object]:
        def act() -> None:
            window = self._window(key)
            finish_window(
                window,
                notes,
                notify=False,
                version=window.version,
                by=self.by,
                now=at,
                idempotency_key=f"demo:{key}:done",
            )

        return act

    @staticmethod
    def _window(key: str) -> ServiceWindow:
        return db.session.scalars(
            select(ServiceWindow)
            .join(ServiceUpdate, ServiceUpdate.window_id == ServiceWindow.id)
            .where(ServiceUpdate.idempotency_key == f"demo:{key}")
        ).one()
