"""The work of the demo business: its jobs and quotes, made by the actions of customers and staff, each at its time."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.accounts.models import Company, Membership, Person
from portal.audit.rules import Actor
from portal.catalogue.models import Holding, Service
from portal.cli.demo import business, orders
from portal.cli.demo.doors import actor
from portal.extensions import db
from portal.files.actions import Giver
from portal.jobs.actions import booking, items, moves, quotes, settings
from portal.jobs.models import WorkItem
from portal.jobs.queries.offers import offered_now
from portal.jobs.queries.settings import settings_of
from portal.jobs.rules import Category, Role, Showing, StatusRow, WorkKind
from portal.jobs.rules.amounts import LineGiven
from portal.jobs.subjects import ref_of
from portal.messages import actions as messages

BEFORE = timedelta(days=380)
"""How long ago the office named its work statuses: before the first job."""

LATELY = 45
"""Days before which work of the past lies; what is nearer is told one by one."""

NEW = -1
"""The id of a status that was never saved."""


@dataclass(frozen=True)
class Customer:
    """A company as its work needs it: who writes for it, what it holds by the key of the service, and where."""

    id: int
    key: str
    person: Person
    holdings: Mapping[str, int]
    days: int
    """For how long it has been a customer, in whole days."""

    @property
    def giver(self) -> Giver:
        return Giver(self.person.id, self.person.name, self.id)

    @property
    def actor(self) -> Actor:
        return Actor(self.person.email, self.person.id, "198.51.100.20")

    @property
    def currency(self) -> str:
        return "EUR" if self.key == "south" else "GBP"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(business.PORTALS[self.key].time_zone)


Step = tuple[datetime, Callable[[], None]]


def do_it(staff: Sequence[Person], now: datetime) -> None:
    """Make all of it in the order in which it happened, so that numbers rise with time. It mails nobody."""
    desk = Desk(staff, now)
    desk.name_statuses()
    customers = _customers(now)
    dice = random.Random(2027)  # noqa: S311 (the same work every time)
    jobs = [*orders.JOBS, *_past_jobs(customers, dice)]
    offers = [*orders.QUOTES, *_past_quotes(customers, dice)]
    steps = [
        *(step for job in jobs for step in desk.job(job, customers[job.company])),
        *(step for quote in offers for step in desk.quote(quote, customers[quote.company])),
    ]
    for _at, act in sorted(steps, key=lambda step: step[0]):
        act()


class Desk:
    """The office at work: turns what the orders tell into steps, each an action at its moment."""

    def __init__(self, staff: Sequence[Person], now: datetime) -> None:
        self.now = now
        self.people = {person.email: person for person in staff}
        self.statuses: dict[tuple[WorkKind, Role | str], int] = {}

    def name_statuses(self) -> None:
        """Add a status that is shown as another one, and call some by another name in the portal."""
        by, at = actor(self.people[orders.MIRIAM]), self.now - BEFORE
        for kind in WorkKind:
            stored = settings_of(kind)
            rows = [
                replace(row, portal_name=orders.RENAMED[row.role]) if row.role in orders.RENAMED else row
                for row in stored.table.rows
            ]
            if kind is WorkKind.JOB:
                on_hold = stored.table.with_role(Role.ON_HOLD)
                parts = StatusRow(
                    id=NEW,
                    role=None,
                    category=Category.WAITING,
                    name=orders.PARTS,
                    color=orders.PARTS_COLOUR,
                    showing=Showing.MAPPED,
                    mapped_to_id=on_hold.id,
                    portal_name=orders.PARTS,
                )
                rows.insert(rows.index(on_hold), parts)
            table = settings.save_table(kind, rows, version=stored.version, by=by, now=at).table
            self.statuses |= {(kind, row.role or row.name): row.id for row in table.rows}

    def job(self, job: orders.Job, customer: Customer) -> list[Step]:
        """The steps of a job, from its booking to the last message about it."""
        made: list[WorkItem] = []
        assignee = self.people[job.assignee] if job.assignee else None
        starts_at, ends_at = self._window(job.window, customer.zone)
        facts = items.Facts(
            title=job.title,
            contact_id=customer.person.id,
            site=job.site,
            holding_id=customer.holdings[job.holds] if job.holds else None,
            description=job.description,
            starts_at=starts_at,
            ends_at=ends_at,
            assignee_id=assignee.id if assignee else None,
            currency=customer.currency,
        )
        steps = self._begin(WorkKind.JOB, made, facts, job.ago, customer, is_asked=job.is_booked)
        return [
            *steps,
            *(self._move(made, ago, status) for ago, status in job.steps),
            *(self._say(made, said, customer) for said in job.said),
        ]

    def quote(self, quote: orders.Quote, customer: Customer) -> list[Step]:
        """The steps of a quote, from its beginning to its answer."""
        made: list[WorkItem] = []
        assignee = self.people[quote.assignee] if quote.assignee else None
        sent = self._at(quote.sent if quote.sent is not None else quote.ago)
        facts = items.Facts(
            title=quote.title,
            contact_id=customer.person.id,
            site=quote.site,
            description=quote.description,
            assignee_id=assignee.id if assignee else None,
            valid_until=(sent + timedelta(days=quote.valid)).date() if quote.lines else None,
            terms=orders.TERMS[customer.key] if quote.lines else "",
            currency=customer.currency,
        )
        steps = self._begin(WorkKind.QUOTE, made, facts, quote.ago, customer, is_asked=quote.is_asked)
        if quote.lines:
            steps.append(self._price(made, quote, customer))
        if quote.sent is not None:
            steps.append(self._move(made, quote.sent, Role.SENT))
        if quote.answer is not None:
            steps.append(self._answer(made, *quote.answer, customer))
        return [*steps, *(self._say(made, said, customer) for said in quote.said)]

    def _begin(
        self,
        kind: WorkKind,
        made: list[WorkItem],
        facts: items.Facts,
        ago: float,
        customer: Customer,
        *,
        is_asked: bool,
    ) -> list[Step]:
        """Asked for by the customer, or made by the office; what only the office says follows a little later."""
        at, by = self._at(ago), actor(self.people[orders.TOM])

        def ask() -> None:
            wanted = booking.Wanted(facts.title, facts.description, facts.site, facts.holding_id)
            key = f"demo:{facts.title}"
            made.append(booking.book(kind, wanted, customer.giver, key=key, by=customer.actor, now=at, tell=False))

        def complete() -> None:
            items.edit_item(made[0], facts, version=made[0].version, by=by, now=later)

        def add() -> None:
            role = Role.SCHEDULED if kind is WorkKind.JOB else Role.DRAFT
            status_id = self.statuses[kind, role]
            made.append(items.add_item(kind, customer.id, facts, by=by, now=at, status_id=status_id, tell=False))

        if not is_asked:
            return [(at, add)]
        later = min(at + timedelta(minutes=25), self.now)
        is_untouched = not (facts.assignee_id or facts.starts_at or facts.terms)
        return [(at, ask)] if is_untouched else [(at, ask), (later, complete)]

    def _move(self, made: list[WorkItem], ago: float, status: Role | str) -> Step:
        at, by = self._at(ago), actor(self.people[orders.TOM])

        def move() -> None:
            moves.move(made[0], self.statuses[made[0].kind, status], by=by, now=at, tell=False)

        return at, move

    def _price(self, made: list[WorkItem], quote: orders.Quote, customer: Customer) -> Step:
        """The office puts lines into a quote half an hour after it was begun; one asked for becomes a draft then."""
        at, by = min(self._at(quote.ago) + timedelta(minutes=30), self.now), actor(self.people[orders.TOM])
        tax = orders.TAX[customer.currency]
        lines = [LineGiven(line.description, line.quantity * 1000, line.price, tax) for line in quote.lines]

        def price() -> None:
            items.set_lines(made[0], lines, version=made[0].version, by=by, now=at)
            moves.move(made[0], self.statuses[WorkKind.QUOTE, Role.DRAFT], by=by, now=at, tell=False)

        return at, price

    def _answer(self, made: list[WorkItem], ago: float, reason: str, customer: Customer) -> Step:
        at, name = self._at(ago), customer.person.name
        signer = quotes.Signer(customer.person.id, customer.id, "198.51.100.20", business.BROWSERS[0])

        def answer() -> None:
            item_id = made[0].id
            if reason:
                quotes.decline(item_id, name, reason, signer, by=customer.actor, now=at, tell=False)
                return
            quotes.accept(
                item_id,
                offered_now(item_id).hash,
                quotes.Signature(name, typed=name),
                signer,
                agrees=True,
                by=customer.actor,
                now=at,
                tell=False,
            )

        return at, answer

    def _say(self, made: list[WorkItem], said: orders.Said, customer: Customer) -> Step:
        at, tom = self._at(said.ago), self.people[orders.TOM]
        giver = customer.giver if said.who == orders.CUSTOMER else Giver(tom.id, tom.name, None)

        def say() -> None:
            is_note = said.who == orders.NOTE
            key = f"demo:{said.ago}"
            messages.write(ref_of(made[0]), said.text, giver, key=key, now=at, is_internal=is_note, tell=False)

        return at, say

    def _at(self, ago: float) -> datetime:
        """The moment of so many days ago; before today in working hours, the earlier the larger the fraction."""
        if ago < 1:
            return self.now - timedelta(days=ago)
        minutes = round((1 - ago % 1) * 9 * 60)
        day = (self.now - timedelta(days=int(ago))).replace(hour=8, minute=0, second=0, microsecond=0)
        return day + timedelta(minutes=minutes)

    def _window(
        self, window: tuple[int, int, int] | None, zone: ZoneInfo
    ) -> tuple[datetime, datetime] | tuple[None, None]:
        """A window on a working day, at full hours of the company's clocks."""
        if window is None:
            return None, None
        days, hour, hours = window
        day = self.now.astimezone(zone).date() + timedelta(days=days)
        if days and day.weekday() > 4:
            day += timedelta(days=7 - day.weekday() if days > 0 else 4 - day.weekday())
        begins = datetime.combine(day, time(hour), tzinfo=zone)
        starts_at = begins.astimezone(self.now.tzinfo)
        return starts_at, starts_at + timedelta(hours=hours)


def _customers(now: datetime) -> dict[str, Customer]:
    """The companies by name, each with the first of its people and what it holds. Two queries."""
    names = {offer.name: key for key, offer in business.SERVICES.items()}
    holdings: dict[int, dict[str, int]] = {}
    for company_id, holding_id, name in db.session.execute(
        select(Holding.company_id, Holding.id, Service.name).join(Service, Service.id == Holding.service_id)
    ):
        holdings.setdefault(company_id, {})[names[name]] = holding_id
    south = {name for name, _held in business.SOUTH_COMPANIES}
    found: dict[str, Customer] = {}
    for company, person in db.session.execute(
        select(Company, Person)
        .join(Membership, Membership.company_id == Company.id)
        .join(Person, Person.id == Membership.person_id)
        .order_by(Membership.id)
    ):
        key = "south" if company.name in south else "north"
        found.setdefault(
            company.name,
            Customer(company.id, key, person, holdings.get(company.id, {}), (now - company.created_at).days),
        )
    return found


def _past_jobs(customers: Mapping[str, Customer], dice: random.Random) -> list[orders.Job]:
    """A job done for two companies of three within the year; some were booked by the customer, some called off."""
    past = []
    for number, (name, customer) in enumerate(customers.items()):
        if number % 3 == 1:
            continue
        kinds = orders.PAST_JOBS[customer.key]
        held = [key for key in customer.holdings if key in kinds]
        if not held:
            continue
        service = dice.choice(held)
        days = dice.randrange(LATELY, min(360, customer.days))
        is_booked = number % 3 == 0
        end = Role.CANCELLED if number % 11 == 8 else Role.COMPLETED
        past.append(
            orders.Job(
                name,
                dice.choice(kinds[service]),
                days + 0.7,
                ((days - 1.4, Role.SCHEDULED), (days - 7.4, end)) if is_booked else ((days - 7.4, end),),
                window=(7 - days, dice.choice((8, 9, 10, 13, 14)), 2),
                site=f"{dice.randrange(1, 90)} {dice.choice(orders.STREETS[customer.key])}"
                if customer.key == "north"
                else f"{dice.choice(orders.STREETS[customer.key])} {dice.randrange(1, 90)}",
                holds=service,
                is_booked=is_booked,
                assignee=dice.choice((orders.TOM, orders.TOM, orders.MIRIAM)),
            )
        )
    return past


def _past_quotes(customers: Mapping[str, Customer], dice: random.Random) -> list[orders.Quote]:
    """A quote for every fourth company within the year, most of them accepted."""
    past = []
    for number, (name, customer) in enumerate(list(customers.items())[::4]):
        title, lines = orders.PAST_QUOTES[customer.key][number % 2]
        days = dice.randrange(LATELY, min(350, customer.days))
        refusal = "Wir warten damit bis zum Frühjahr." if customer.key == "south" else "Not this year, thank you."
        past.append(
            orders.Quote(
                name,
                title,
                days + 0.6,
                lines,
                sent=days - 1.5,
                answer=(days - 6.4, refusal if number % 4 == 3 else ""),
            )
        )
    return past
