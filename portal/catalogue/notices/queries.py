"""Reading notices, and whom a choice reaches: set-wise, so that 50,000 people cost as many queries as five."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, distinct, exists, func, literal, or_, select, union_all
from sqlalchemy.orm import aliased, defer, joinedload

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import text_key
from portal.catalogue.models import Component, Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import TOPIC, Chosen, NoticeState, Unreached
from portal.catalogue.queries import company_reached_select, is_valid
from portal.config import Settings
from portal.domains.models import Admission, PortalDomain
from portal.errors import NotFound
from portal.extensions import db
from portal.notifications.channels.reaching import ChannelReach, channels_reached
from portal.notifications.models import Broadcast, CompanyPreference, Preference, Suppression
from portal.notifications.queries import suppresses
from portal.notifications.rules import SuppressionReason
from portal.notifications.wishes import MAIL

PER_PAGE = 50
NAMED_AT_MOST = 50
"""How many of those who cannot be reached are named; the rest is a number."""

# Notices.


@dataclass(frozen=True)
class NoticePage:
    """One page of notices: `page` of `pages` (from 1), of `total` in all."""

    items: Sequence[Notice]
    page: int
    pages: int
    total: int


def notices_page(page: int, *, state: NoticeState | None = None, text: str = "") -> NoticePage:
    """Notices, the one touched last first, without their texts. Two queries; NotFound beyond the last page."""
    statement = select(Notice).options(defer(Notice.wordings), joinedload(Notice.created_by))
    if state is not None:
        statement = statement.where(Notice.state == state)
    if wanted := text_key(text):
        statement = statement.where(Notice.title_key.contains(wanted, autoescape=True))
    total = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        raise NotFound
    ordered = statement.order_by(Notice.updated_at.desc(), Notice.id.desc())
    return NoticePage(
        db.session.scalars(ordered.limit(PER_PAGE).offset((page - 1) * PER_PAGE)).all(), page, pages, total
    )


def unsent(at_most: int) -> tuple[Sequence[Notice], int]:
    """What is scheduled, the next to start first, then drafts, the newest first; and how many there are in all."""
    mine = Notice.state.in_((NoticeState.DRAFT, NoticeState.SCHEDULED))
    total = db.session.scalar(select(func.count()).select_from(Notice).where(mine)) or 0
    found = db.session.scalars(
        select(Notice)
        .options(defer(Notice.wordings), joinedload(Notice.created_by))
        .where(mine)
        .order_by(case((Notice.state == NoticeState.SCHEDULED, 0), else_=1), Notice.due_at, Notice.updated_at.desc())
        .limit(at_most)
    )
    return found.all(), total


def notice_by_id(notice_id: int, *, to_change: bool = False) -> Notice | None:
    """One notice; with `to_change` locked, so that it is not started under the hand that changes it."""
    return db.session.get(Notice, notice_id, with_for_update=to_change)


def notice_of(broadcast_id: int) -> Notice | None:
    """The notice a broadcast was made of."""
    return db.session.scalars(
        select(Notice).options(defer(Notice.wordings)).where(Notice.broadcast_id == broadcast_id)
    ).one_or_none()


def due_notices(now: datetime) -> Sequence[int]:
    """The notices that are due to start, the one due longest first."""
    return db.session.scalars(
        select(Notice.id)
        .where(Notice.state == NoticeState.SCHEDULED, Notice.due_at <= now)
        .order_by(Notice.due_at, Notice.id)
        .limit(100)
    ).all()


def tests_since(person_id: int, since: datetime, kind: str) -> int:
    """How many test mails of a kind this person has asked for since then."""
    mine = (Broadcast.kind == kind, Broadcast.created_by_id == person_id, Broadcast.created_at > since)
    return db.session.scalar(select(func.count()).select_from(Broadcast).where(*mine)) or 0


# What can be chosen.


class Choice(NamedTuple):
    """Something that can be chosen, by name; `detail` tells two of one name apart."""

    id: int
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Choices:
    """Everything that can be chosen but companies, of which there may be too many to show."""

    services: Sequence[Choice]
    components: Sequence[Choice]
    domains: Sequence[Choice]


def choices() -> Choices:
    """What is not archived, in the order staff know it. Three queries."""
    services = db.session.execute(
        select(Service.id, Service.name, Service.category)
        .where(Service.archived_at.is_(None))
        .order_by(Service.category, Service.position, Service.name_key)
    )
    components = db.session.execute(
        select(Component.id, Component.title).where(Component.archived_at.is_(None)).order_by(Component.title_key)
    )
    domains = db.session.execute(
        select(PortalDomain.id, PortalDomain.brand, PortalDomain.host).order_by(PortalDomain.brand, PortalDomain.id)
    )
    return Choices(
        tuple(Choice(*row) for row in services),
        tuple(Choice(*row) for row in components),
        tuple(Choice(*row) for row in domains),
    )


def companies_found(text: str, without: Collection[int], at_most: int) -> Sequence[Choice]:
    """Companies that are called so, but for those chosen already; none for no text. One query."""
    wanted = text_key(text)
    if not wanted:
        return ()
    rows = db.session.execute(
        select(Company.id, Company.name)
        .where(
            Company.archived_at.is_(None),
            Company.name_key.contains(wanted, autoescape=True),
            Company.id.not_in(without),
        )
        .order_by(case((Company.name_key.startswith(wanted, autoescape=True), 0), else_=1), Company.name_key)
        .limit(at_most)
    )
    return tuple(Choice(*row) for row in rows)


_CHOOSABLE: Mapping[str, tuple[Any, Any, ColumnElement[bool] | None]] = {
    "companies": (Company.id, Company.name, Company.archived_at.is_(None)),
    "services": (Service.id, Service.name, Service.archived_at.is_(None)),
    "components": (Component.id, Component.title, Component.archived_at.is_(None)),
    "domains": (PortalDomain.id, PortalDomain.brand, None),
}


def names_of(chosen: Chosen) -> dict[str, Sequence[Choice]]:
    """What is chosen and still there, by what it is and by name. A query for each kind that is named."""
    found: dict[str, Sequence[Choice]] = {}
    for kind, (row_id, name, is_there) in _CHOOSABLE.items():
        ids = getattr(chosen, kind)
        if ids:
            conditions = [row_id.in_(ids), *([] if is_there is None else [is_there])]
            rows = db.session.execute(select(row_id, name).where(*conditions).order_by(name, row_id))
            found[kind] = tuple(Choice(*row) for row in rows)
    return found


# Whom a choice reaches.


class Unreachable(NamedTuple):
    """A person of a chosen company whom no mail reaches, one of those companies, and why."""

    person_id: int
    name: str
    email: str
    company: str
    reason: Unreached


@dataclass(frozen=True)
class Reach:
    """Whom a choice reaches: so many companies, and in them so many people who get the mail.

    `unreached` counts the others by reason, and `named` names the first of them. `silent` of the companies have nobody
    who could be reached at all, of whom `silent_named` are the first.
    """

    companies: int
    people: int
    unreached: Mapping[Unreached, int]
    named: Sequence[Unreachable]
    silent: int
    silent_named: Sequence[Choice]

    @property
    def unreached_total(self) -> int:
        return sum(self.unreached.values())


NOBODY = Reach(0, 0, {}, (), 0, ())


def companies_chosen(chosen: Chosen, at: datetime) -> Select[int]:
    """A statement selecting the ids of the companies that are chosen, as things stood at that moment; none archived."""
    companies = select(Company.id).where(Company.archived_at.is_(None))
    if chosen.everyone:
        return companies
    named: list[ColumnElement[bool]] = []
    if chosen.companies:
        named.append(Company.id.in_(chosen.companies))
    if chosen.services:
        named.append(
            Company.id.in_(
                select(Holding.company_id).where(Holding.service_id.in_(chosen.services), is_valid(Holding, at))
            )
        )
    if chosen.components:
        named.append(Company.id.in_(company_reached_select(chosen.components, at)))
    if chosen.domains:
        named.append(
            Company.id.in_(
                select(Admission.company_id).where(Admission.domain_id.in_(chosen.domains), Admission.is_home)
            )
        )
    return companies.where(or_(literal(False), *named))


def is_member_of(companies: Select[int], person: Any = Person.id) -> ColumnElement[bool]:
    """The condition that somebody belongs to one of these companies."""
    return exists().where(Membership.person_id == person, Membership.company_id.in_(companies))


_REASONS = tuple(Unreached)
_RANK_OF = {
    SuppressionReason.HARD_BOUNCE: Unreached.BOUNCED,
    SuppressionReason.COMPLAINT: Unreached.COMPLAINED,
    SuppressionReason.BY_HAND: Unreached.BY_HAND,
    SuppressionReason.UNSUBSCRIBED: Unreached.UNSUBSCRIBED,
}


def _rank(reason: Unreached) -> int:
    return _REASONS.index(reason)


def _barred(companies: Select[int], now: datetime) -> Any:
    """The people of these companies whom no notice reaches, each once, with the rank of the reason.

    Looked for from the side of the reasons, of which there are few, and not from that of the people.
    """
    by_address = case(
        *((Suppression.reason == reason, _rank(unreached)) for reason, unreached in _RANK_OF.items()),
        else_=_rank(Unreached.BY_HAND),
    )
    reasons = union_all(
        select(Person.id.label("person_id"), literal(_rank(Unreached.DEACTIVATED)).label("rank")).where(
            Person.deactivated_at.is_not(None)
        ),
        select(Person.id, by_address)
        .join(Suppression, Suppression.address_key == Person.email_key)
        .where(suppresses(TOPIC, now)),
        select(Preference.person_id, literal(_rank(Unreached.UNSUBSCRIBED))).where(
            Preference.topic == TOPIC, Preference.channel == MAIL, Preference.wanted.is_(False)
        ),
        _left_by_company(companies),
    ).subquery()
    return (
        select(reasons.c.person_id, func.min(reasons.c.rank).label("rank"))
        .where(is_member_of(companies, reasons.c.person_id))
        .group_by(reasons.c.person_id)
        .subquery()
    )


def _left_by_company(companies: Select[int]) -> Select[int, int]:
    """The people who say nothing themselves, and none of whose chosen companies wants notices."""
    other = aliased(Membership)

    def has_left(company_id: Any) -> ColumnElement[bool]:
        return exists().where(
            CompanyPreference.company_id == company_id,
            CompanyPreference.topic == TOPIC,
            CompanyPreference.channel == MAIL,
            CompanyPreference.wanted.is_(False),
        )

    has_spoken = exists().where(
        Preference.person_id == Membership.person_id, Preference.topic == TOPIC, Preference.channel == MAIL
    )
    wants_for_another = exists().where(
        other.person_id == Membership.person_id, other.company_id.in_(companies), ~has_left(other.company_id)
    )
    left = select(CompanyPreference.company_id).where(
        CompanyPreference.topic == TOPIC, CompanyPreference.channel == MAIL, CompanyPreference.wanted.is_(False)
    )
    return select(Membership.person_id, literal(_rank(Unreached.COMPANY_LEFT))).where(
        Membership.company_id.in_(left), ~has_spoken, ~wants_for_another
    )


def reach_of(chosen: Chosen, now: datetime) -> Reach:
    """Whom a choice reaches now, and whom it does not and why. Seven queries at most, whatever is chosen."""
    if chosen.is_nobody:
        return NOBODY
    companies = companies_chosen(chosen, now)
    count = db.session.scalar(select(func.count()).select_from(companies.subquery())) or 0
    everyone = db.session.scalar(
        select(func.count(distinct(Membership.person_id))).where(Membership.company_id.in_(companies))
    )
    barred = _barred(companies, now)
    unreached = {
        _REASONS[rank]: people
        for rank, people in db.session.execute(
            select(barred.c.rank, func.count()).group_by(barred.c.rank).order_by(barred.c.rank)
        )
    }
    silent = _silent(companies)
    silent_count = db.session.scalar(select(func.count()).select_from(silent.subquery())) or 0
    return Reach(
        companies=count,
        people=(everyone or 0) - sum(unreached.values()),
        unreached=unreached,
        named=_named(companies, barred) if unreached else (),
        silent=silent_count,
        silent_named=_first_of(silent) if silent_count else (),
    )


def channels_of(chosen: Chosen, now: datetime, settings: Settings) -> ChannelReach:
    """The channels beside mail that a notice to these would be told to, and those it would not. Two queries."""
    if chosen.is_nobody:
        return ChannelReach()
    return channels_reached(companies_chosen(chosen, now), TOPIC, settings)


def _silent(companies: Select[int]) -> Select[int]:
    """The companies without a single active person."""
    is_heard = exists().where(
        Membership.company_id == Company.id, Person.id == Membership.person_id, Person.deactivated_at.is_(None)
    )
    return select(Company.id).where(Company.id.in_(companies), ~is_heard)


def _first_of(companies: Select[int]) -> Sequence[Choice]:
    rows = db.session.execute(
        select(Company.id, Company.name)
        .where(Company.id.in_(companies))
        .order_by(Company.name_key)
        .limit(NAMED_AT_MOST)
    )
    return tuple(Choice(*row) for row in rows)


def _named(companies: Select[int], barred: Any) -> Sequence[Unreachable]:
    found = db.session.execute(
        select(Person.id, Person.name, Person.email, barred.c.rank)
        .join(barred, barred.c.person_id == Person.id)
        .order_by(barred.c.rank, Person.name_key, Person.id)
        .limit(NAMED_AT_MOST)
    ).all()
    names = dict(
        db.session.execute(
            select(Membership.person_id, func.min(Company.name))
            .join(Company, Company.id == Membership.company_id)
            .where(Membership.person_id.in_([row.id for row in found]), Membership.company_id.in_(companies))
            .group_by(Membership.person_id)
        ).all()
    )
    return tuple(Unreachable(row.id, row.name, row.email, names[row.id], _REASONS[row.rank]) for row in found)


# Those who read it.


class Addressee(NamedTuple):
    """An active person of a chosen company: only the columns a mail needs."""

    id: int
    name: str
    email: str
    language: str


def addressees(
    chosen: Chosen,
    at: datetime,
    *,
    after: int = 0,
    limit: int,
    text: str = "",
    only: int | None = None,
    reached_only: bool = False,
) -> Sequence[Addressee]:
    """The next active people of the chosen companies by id; found by name or address, or the one. One query.

    With `reached_only` those whom no notice reaches are left out: they stand in the ledger, but read nothing.
    """
    statement = select(Person.id, Person.name, Person.email, Person.language).where(
        Person.id > after, Person.deactivated_at.is_(None), is_member_of(companies_chosen(chosen, at))
    )
    if only is not None:
        statement = statement.where(Person.id == only)
    if reached_only:
        statement = statement.where(Person.id.not_in(select(_barred(companies_chosen(chosen, at), at).c.person_id)))
    if wanted := text_key(text):
        statement = statement.where(
            or_(Person.name_key.contains(wanted, autoescape=True), Person.email_key.contains(wanted, autoescape=True))
        )
    return [Addressee._make(row) for row in db.session.execute(statement.order_by(Person.id).limit(limit))]


class Theirs(NamedTuple):
    """A chosen company of a person."""

    company_id: int
    name: str


def chosen_companies_of(person_ids: Collection[int], chosen: Chosen, at: datetime) -> dict[int, list[Theirs]]:
    """The chosen companies of these people. One query.

    First those at home on a chosen portal domain, then those at home on any: the first is whose portal the links
    lead to.
    """
    at_home_here = Admission.domain_id.in_(chosen.domains) if chosen.domains else literal(False)
    place = case((at_home_here, 0), (Admission.domain_id.is_not(None), 1), else_=2)
    rows = db.session.execute(
        select(Membership.person_id, Company.id, Company.name)
        .join(Company, Company.id == Membership.company_id)
        .outerjoin(Admission, (Admission.company_id == Company.id) & Admission.is_home)
        .where(Membership.person_id.in_(person_ids), Company.id.in_(companies_chosen(chosen, at)))
        .order_by(Membership.person_id, place, Membership.id)
    )
    found: dict[int, list[Theirs]] = {}
    for person_id, company_id, name in rows:
        found.setdefault(person_id, []).append(Theirs(company_id, name))
    return found


def holdings_told(company_ids: Collection[int], chosen: Chosen, at: datetime) -> dict[int, list[str]]:
    """By company, what it holds of the services chosen or on the components chosen, with references. Two queries.

    A company that holds none of them was chosen for itself: all that it holds.
    """
    held = (
        select(Holding.company_id, Service.name, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(is_valid(Holding, at))
        .order_by(Holding.company_id, Service.position, Service.name_key, Holding.reference)
    )
    through_service = select(ServiceDependency.service_id).where(
        ServiceDependency.component_id.in_(chosen.components), is_valid(ServiceDependency, at)
    )
    by_itself = select(HoldingDependency.holding_id).where(
        HoldingDependency.component_id.in_(chosen.components), is_valid(HoldingDependency, at)
    )
    is_chosen = or_(
        Holding.service_id.in_(chosen.services), Holding.service_id.in_(through_service), Holding.id.in_(by_itself)
    )
    found: dict[int, list[str]] = {}
    for condition in (is_chosen, literal(True)):
        ids = set(company_ids) - found.keys()
        for company_id, name, reference in db.session.execute(held.where(Holding.company_id.in_(ids), condition)):
            found.setdefault(company_id, []).append(f"{name} ({reference})" if reference else name)
    return found


def companies_open(company_ids: Collection[int]) -> frozenset[int]:
    """Those of these companies that are still there and not archived. One query."""
    return frozenset(
        db.session.scalars(select(Company.id).where(Company.id.in_(company_ids), Company.archived_at.is_(None)))
    )
