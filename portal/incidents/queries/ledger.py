"""The reach ledger of an incident: which company was told what, when and how, and which nobody could be reached at.

Read from the deliveries of all its broadcasts, those of merged reports among them; nothing is counted twice, and
nothing is kept beside them but who has seen it and who says that they know of it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    cast,
    distinct,
    func,
    or_,
    select,
    true,
)

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding
from portal.catalogue.queries import company_reached_select, is_valid
from portal.catalogue.queries.hearing import TOPIC, WHY, holds_back
from portal.catalogue.rules import Unreached, service_topic
from portal.extensions import db
from portal.incidents.models import (
    Incident,
    IncidentAcknowledgement,
    IncidentComponent,
    IncidentSighting,
    IncidentUpdate,
)
from portal.incidents.queries import Page, notify_key
from portal.incidents.rules.ledger import Reached
from portal.incidents.rules.postmortems import notify_key as postmortem_key
from portal.notifications.bounces.models import BounceReport
from portal.notifications.bounces.rules import Outcome
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import Broadcast, ContactChannel, Delivery, Suppression
from portal.notifications.rules import OPEN_STATES, DeliveryState
from portal.notifications.wishes import wishes_of

PER_PAGE = 50
CONTACTS_AT_MOST = 5
"""So many people of a company stand in a call list, those who decide for it first."""

AT_ONCE = 500
"""Companies that are read and held at once while a file is written."""

CAME_BACK = (Outcome.BOUNCED, Outcome.STRIKE, Outcome.POLICY, Outcome.REFUSED)
"""Reports that say a mail did not arrive although a server had taken it."""

NOT_SENT = (DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.UNKNOWN)


class CompanyLine(NamedTuple):
    """A company in the ledger. The counts are of addresses, each once whatever many updates it was told of."""

    company_id: int
    name: str
    external_id: str | None
    reached: Reached
    is_affected: bool
    people: int
    sent: int
    waiting: int
    failed: int
    bounced: int
    suppressed: int
    last_sent_at: datetime | None
    seen: int
    first_seen_at: datetime | None
    acknowledged_at: datetime | None


class Line(NamedTuple):
    """One message to one address: `update_id` is what it tells of, None for the postmortem."""

    delivery: Delivery
    update_id: int | None
    is_postmortem: bool
    came_back: str | None


@dataclass(frozen=True)
class Contact:
    """Somebody to call. `why` is what keeps mails from them, None where a mail would reach them."""

    name: str
    email: str
    decides: bool
    why: Unreached | None


@dataclass(frozen=True)
class Summary:
    """How many companies stand where, and how many messages there were."""

    companies: Mapping[Reached, int]
    total: int
    broadcasts: int

    @property
    def nobody(self) -> int:
        return self.companies.get(Reached.NOBODY, 0)


def broadcast_ids(incident: Incident) -> list[int]:
    """The broadcasts about an incident and those that were merged into it. Two queries."""
    return [broadcast_id for broadcast_id, _key in _broadcasts(incident)]


def summary_of(incident: Incident, now: datetime) -> Summary:
    """How far it has reached, in numbers. Four queries, however many companies there are."""
    told = broadcast_ids(incident)
    lines = _lines(incident, told, now).subquery()
    counts = db.session.execute(select(lines.c.rank, func.count()).group_by(lines.c.rank))
    found = {_BY_RANK[rank]: number for rank, number in counts}
    return Summary(found, sum(found.values()), len(told))


def ledger_page(
    incident: Incident, wanted: Reached | None, page: int, now: datetime, *, summary: Summary | None = None
) -> Page[CompanyLine] | None:
    """Companies, the worst first, 50 a page; None for a page that does not exist. Five queries.

    Whoever has the `summary` of this moment hands it in, and what is costly with many messages is not counted twice.
    """
    told = broadcast_ids(incident)
    lines = _lines(incident, told, now).subquery()
    condition = lines.c.rank == wanted.rank if wanted else true()
    if summary is not None:
        total = summary.companies.get(wanted, 0) if wanted else summary.total
    else:
        total = db.session.scalar(select(func.count()).select_from(lines).where(condition)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    shown = _ordered(lines).where(condition).limit(PER_PAGE).offset((page - 1) * PER_PAGE)
    return Page([_line(row) for row in db.session.execute(shown)], page, pages, total, PER_PAGE)


def company_line(incident: Incident, company_id: int, now: datetime) -> CompanyLine | None:
    """One company of the ledger. Four queries."""
    lines = _lines(incident, broadcast_ids(incident), now).subquery()
    row = db.session.execute(_ordered(lines).where(lines.c.company_id == company_id)).one_or_none()
    return _line(row) if row else None


def every_line(incident: Incident, wanted: Reached | None, now: datetime) -> Iterator[Sequence[CompanyLine]]:
    """All companies in the order of the list, some at a time; the statement runs once."""
    lines = _lines(incident, broadcast_ids(incident), now).subquery()
    statement = _ordered(lines).where(lines.c.rank == wanted.rank if wanted else true())
    for rows in db.session.execute(statement.execution_options(yield_per=AT_ONCE)).partitions(AT_ONCE):
        yield [_line(row) for row in rows]


def messages_to(incident: Incident, company_id: int, page: int) -> Page[Line] | None:
    """What was sent to one company, the newest first, 50 a page; None for a page that does not exist. Five queries."""
    told = _broadcasts(incident)
    updates = _update_of([key for _id, key in told])
    keys = dict(told)
    each = _company_ids()
    of_theirs = and_(Delivery.broadcast_id.in_(keys), cast(each.c.value, Integer) == company_id)
    count = select(func.count()).select_from(Delivery).join(each, true()).where(of_theirs)
    total = db.session.scalar(count) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    shown = db.session.scalars(
        select(Delivery)
        .join(each, true())
        .where(of_theirs)
        .order_by(Delivery.created_at.desc(), Delivery.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    back = _came_back([each.id for each in shown])
    found = [
        Line(
            delivery,
            updates.get(keys[delivery.broadcast_id]),
            keys[delivery.broadcast_id] not in updates,
            back.get(delivery.id),
        )
        for delivery in shown
    ]
    return Page(found, page, pages, total, PER_PAGE)


def contacts_among(company_ids: Collection[int], now: datetime) -> dict[int, list[Contact]]:
    """Whom to call at each of these companies, those who decide for it first, and why no mail reaches them.

    Five queries, however many companies there are.
    """
    rows = db.session.execute(
        select(
            Membership.company_id,
            Person.id,
            Person.name,
            Person.email,
            Person.email_key,
            Person.deactivated_at,
            Membership.is_contact,
        )
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.company_id.in_(company_ids), Person.anonymised_at.is_(None))
        .order_by(Membership.company_id, Membership.is_contact.desc(), Person.name_key, Person.id)
    )
    people: dict[int, list[Any]] = {}
    for row in rows:
        theirs = people.setdefault(row.company_id, [])
        if len(theirs) < CONTACTS_AT_MOST:
            theirs.append(row)
    why = _why([each for theirs in people.values() for each in theirs], now)
    return {
        company_id: [Contact(each.name, each.email, each.is_contact, why.get((company_id, each.id))) for each in theirs]
        for company_id, theirs in people.items()
    }


def _why(people: Sequence[Any], now: datetime) -> dict[tuple[int, int], Unreached]:
    """What keeps mails about incidents from these people, by company and person. Four queries."""
    company_ids = {each.company_id for each in people}
    stopped: dict[str, list[Unreached]] = {}
    for address_key, reason in db.session.execute(
        select(Suppression.address_key, Suppression.reason).where(
            Suppression.address_key.in_({each.email_key for each in people}), holds_back(now)
        )
    ):
        stopped.setdefault(address_key, []).append(WHY[reason])
    services: dict[int, set[str]] = {}
    for company_id, service_id in db.session.execute(
        select(Holding.company_id, Holding.service_id)
        .where(Holding.company_id.in_(company_ids), is_valid(Holding, now))
        .distinct()
    ):
        services.setdefault(company_id, set()).add(service_topic(service_id))
    wishes = wishes_of([each.id for each in people], company_ids)
    found = {}
    for each in people:
        topics = services.get(each.company_id, set())
        hears = wishes.wants(each.id, each.company_id, TOPIC) and (
            not topics or any(wishes.wants(each.id, each.company_id, topic) for topic in topics)
        )
        if each.deactivated_at:
            found[each.company_id, each.id] = Unreached.DEACTIVATED
        elif each.email_key in stopped:
            found[each.company_id, each.id] = min(stopped[each.email_key], key=list(Unreached).index)
        elif not hears:
            found[each.company_id, each.id] = Unreached.DECLINED
    return found


def telephones_among(company_ids: Collection[int]) -> dict[int, list[str]]:
    """What may be shown of the telephone numbers these companies, or their people, have given for text messages."""
    own = select(ContactChannel.company_id, ContactChannel.label, ContactChannel.hint).where(
        ContactChannel.kind == ChannelKind.SMS, ContactChannel.company_id.in_(company_ids)
    )
    of_people = (
        select(Membership.company_id, Person.name, ContactChannel.hint)
        .join(Membership, Membership.person_id == ContactChannel.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(ContactChannel.kind == ChannelKind.SMS, Membership.company_id.in_(company_ids))
    )
    found: dict[int, list[str]] = {}
    for company_id, label, hint in db.session.execute(own.union_all(of_people)):
        if company_id is not None:
            found.setdefault(company_id, []).append(f"{label}: {hint}" if label else hint)
    return {company_id: sorted(each)[:CONTACTS_AT_MOST] for company_id, each in found.items()}


# The statement


def _broadcasts(incident: Incident) -> list[tuple[int, str]]:
    """The broadcasts about an incident and what was merged into it, with their keys without what marks followers."""
    of_these = or_(Incident.id == incident.id, Incident.merged_into_id == incident.id)
    updates = db.session.execute(
        select(IncidentUpdate.id, IncidentUpdate.incident_id)
        .join(Incident, Incident.id == IncidentUpdate.incident_id)
        .where(of_these)
    ).all()
    keys = [notify_key(update_id) for update_id, _incident_id in updates]
    keys += [postmortem_key(each) for each in {incident.id, *(incident_id for _update, incident_id in updates)}]
    wanted = {key: key for key in keys} | {f"{key}:followers": key for key in keys}
    rows = db.session.execute(
        select(Broadcast.id, Broadcast.idempotency_key)
        .where(Broadcast.idempotency_key.in_(wanted))
        .order_by(Broadcast.id)
    )
    return [(broadcast_id, wanted[key]) for broadcast_id, key in rows]


def _update_of(keys: Collection[str]) -> dict[str, int]:
    """Which update each of these keys tells of; that of a postmortem is none's."""
    return {key: int(key.split(":")[1]) for key in keys if key.startswith("incident_update:")}


def _company_ids() -> Any:
    """The companies a delivery reaches a person through, a row each: to be joined with it."""
    if db.session.get_bind().dialect.name == "postgresql":
        return func.json_array_elements_text(Delivery.company_ids).table_valued("value", joins_implicitly=True)
    return func.json_each(Delivery.company_ids).table_valued("value", joins_implicitly=True)


def _lines(incident: Incident, told: Sequence[int], now: datetime) -> Select[*tuple[Any, ...]]:
    """Every company that is affected or was told, with what became of it, and its rank."""
    each = _company_ids()
    bounced = Delivery.id.in_(
        select(BounceReport.delivery_id).where(
            BounceReport.delivery_id.is_not(None), BounceReport.outcome.in_(CAME_BACK)
        )
    )
    sent = and_(Delivery.state == DeliveryState.SENT, ~bounced)

    def people(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count(distinct(case((condition, Delivery.address_key))))

    sendings = (
        select(
            cast(each.c.value, Integer).label("company_id"),
            func.count(distinct(Delivery.address_key)).label("people"),
            people(sent).label("sent"),
            people(Delivery.state.in_(OPEN_STATES)).label("waiting"),
            people(Delivery.state.in_(NOT_SENT)).label("failed"),
            people(bounced).label("bounced"),
            people(Delivery.state == DeliveryState.SUPPRESSED).label("suppressed"),
            func.max(case((sent, Delivery.finished_at))).label("last_sent_at"),
        )
        .select_from(Delivery)
        .join(each, true())
        .where(Delivery.broadcast_id.in_(told))
        .group_by(cast(each.c.value, Integer))
        .subquery()
    )
    seen = (
        select(
            IncidentSighting.company_id,
            func.count().label("seen"),
            func.min(IncidentSighting.seen_at).label("first_seen_at"),
        )
        .where(IncidentSighting.incident_id == incident.id)
        .group_by(IncidentSighting.company_id)
        .subquery()
    )
    says = IncidentAcknowledgement
    affected = _affected(incident, now)
    is_affected = Company.id.in_(affected) if affected is not None else Company.archived_at.is_(None)
    numbers = {name: func.coalesce(sendings.c[name], 0) for name in ("people", "sent", "waiting", "failed", "bounced")}
    looked = func.coalesce(seen.c.seen, 0)
    rank = case(
        (says.acknowledged_at.is_not(None), Reached.ACKNOWLEDGED.rank),
        (looked > 0, Reached.OPENED.rank),
        (and_(numbers["sent"] > 0, numbers["failed"] + numbers["bounced"] > 0), Reached.PARTLY.rank),
        (numbers["sent"] > 0, Reached.TOLD.rank),
        (numbers["waiting"] > 0, Reached.WAITING.rank),
        (is_affected, Reached.NOBODY.rank),
        else_=Reached.ELSEWHERE.rank,
    )
    return (
        select(
            Company.id.label("company_id"),
            Company.name,
            Company.name_key,
            Company.external_id,
            rank.label("rank"),
            case((is_affected, 1), else_=0).label("is_affected"),
            *(number.label(name) for name, number in numbers.items()),
            func.coalesce(sendings.c.suppressed, 0).label("suppressed"),
            sendings.c.last_sent_at,
            looked.label("seen"),
            seen.c.first_seen_at,
            says.acknowledged_at,
        )
        .outerjoin(sendings, sendings.c.company_id == Company.id)
        .outerjoin(seen, seen.c.company_id == Company.id)
        .outerjoin(says, and_(says.company_id == Company.id, says.incident_id == incident.id))
        .where(
            or_(
                is_affected,
                sendings.c.company_id.is_not(None),
                seen.c.company_id.is_not(None),
                says.company_id.is_not(None),
            )
        )
    )


def _affected(incident: Incident, now: datetime) -> Select[int] | None:
    """The companies it is about, as of now or of when it was fixed; None where it reaches nobody: then it is all."""
    at = incident.resolved_at or now
    named = select(IncidentComponent.component_id).where(IncidentComponent.incident_id == incident.id)
    ids = list(db.session.scalars(named))
    reached = company_reached_select(ids, at)
    return None if db.session.scalar(reached.limit(1)) is None else reached


def _ordered(lines: Any) -> Select[*tuple[Any, ...]]:
    return select(lines).order_by(lines.c.rank, lines.c.is_affected.desc(), lines.c.name_key, lines.c.company_id)


_BY_RANK = {each.rank: each for each in Reached}


def _line(row: Any) -> CompanyLine:
    return CompanyLine(
        company_id=row.company_id,
        name=row.name,
        external_id=row.external_id,
        reached=_BY_RANK[row.rank],
        is_affected=bool(row.is_affected),
        people=row.people,
        sent=row.sent,
        waiting=row.waiting,
        failed=row.failed,
        bounced=row.bounced,
        suppressed=row.suppressed,
        last_sent_at=row.last_sent_at,
        seen=row.seen,
        first_seen_at=row.first_seen_at,
        acknowledged_at=row.acknowledged_at,
    )


def _came_back(delivery_ids: Collection[int]) -> dict[int, str]:
    """What the reports say that came back of these deliveries, by delivery. One query."""
    rows = db.session.execute(
        select(BounceReport.delivery_id, BounceReport.words)
        .where(BounceReport.delivery_id.in_(delivery_ids), BounceReport.outcome.in_(CAME_BACK))
        .order_by(BounceReport.id)
    )
    return {delivery_id: words for delivery_id, words in rows if delivery_id is not None}
