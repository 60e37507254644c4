"""What a company may be told in answer to a question: the same lines its own screens show, and nothing beside them."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, cast, exists, literal, or_, select

from portal.accounts.models import Person
from portal.catalogue.models import Service
from portal.catalogue.rules import service_topic
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Incident
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.queries import suppressed_addresses
from portal.notifications.rules import DeliveryState
from portal.notifications.wishes import wishes_of
from portal.services.models import ServiceUpdate, UpdateBroadcast, UpdateTarget
from portal.services.queries import Concern, ServiceLine, company_picture, service_lines, view_at_home
from portal.services.queries.hearing import TOPIC, is_mailed, status_topic
from portal.services.queries.settings import View, settings
from portal.services.questions.rules import Known, Meaning, understand
from portal.services.rules import PROBLEMS, CauseKind, ServiceStatus

LOOKED_AT = 5
"""For how many of the services with a problem, the worst first, it is worked out whether somebody will be mailed."""


@dataclass(frozen=True)
class Answer:
    """What is said to a question, before it is put in words.

    `lines` are the services it names, worst first: those asked about, those to ask back about, for a question about
    everything those that do not operate normally, for one about something unknown all there are. `total` is how many
    there are, `double` the names that several of them have. `concerns` are open incidents that may affect any of them.
    Without `is_watched`, nothing is known but what staff state; with `has_hidden` there may be more than is seen here.
    `promised` are the holdings whose next news will be mailed to whoever asks.
    """

    meaning: Meaning
    lines: tuple[ServiceLine, ...]
    total: int
    now: datetime
    concerns: tuple[Concern, ...] = ()
    double: frozenset[str] = frozenset()
    is_watched: bool = True
    has_hidden: bool = False
    promised: frozenset[int] = field(default_factory=frozenset)


def is_open() -> bool:
    """The setting Assistant → Permissions → Service status access. One query."""
    return settings().is_assistant_open


def answer(
    text: str,
    company_id: int,
    now: datetime,
    *,
    areas: Collection[Area],
    view: View | None = None,
    person_id: int | None = None,
) -> Answer | None:
    """The answer to a question of this company's; None where it is none about a status. At most twenty queries.

    `areas` are those open to it, `view` is what it sees of its services (None: what it sees at home). A promise of
    mail is made to a person only, and only to one who was mailed of the problem and wants to hear of its end.
    """
    view = view_at_home(company_id) if view is None else view
    picture = company_picture(company_id, now, view=view) if Area.STATUS in areas else None
    lines = picture.lines if picture else service_lines(company_id, now, shows_incidents=False, view=view)
    understood = understand(text, _known(lines))
    if understood.meaning is Meaning.OTHER:
        return None
    named = sorted(_named(understood.meaning, understood.ids, lines), key=_worst_first)
    return Answer(
        understood.meaning,
        tuple(named),
        len(lines),
        now,
        concerns=tuple(each for each in picture.concerns if not each.services) if picture else (),
        double=frozenset(name for name, count in Counter(line.name for line in lines).items() if count > 1),
        is_watched=picture is not None,
        has_hidden=bool(view.hidden_services),
        promised=_promised(person_id, company_id, named, now) if person_id is not None else frozenset(),
    )


def _worst_first(line: ServiceLine) -> int:
    return -(line.status or ServiceStatus.NORMAL).rank


def _named(meaning: Meaning, ids: Sequence[int], lines: Sequence[ServiceLine]) -> list[ServiceLine]:
    if meaning is Meaning.UNKNOWN:
        return list(lines)
    if meaning is Meaning.EVERYTHING:
        return [line for line in lines if line.status not in (None, ServiceStatus.NORMAL)]
    return [line for line in lines if line.holding_id in ids]


def _known(lines: Sequence[ServiceLine]) -> list[Known]:
    ids = {line.service_id for line in lines}
    aliases = {
        row.id: tuple(row.aliases)
        for row in db.session.execute(select(Service.id, Service.aliases).where(Service.id.in_(ids)))
    }
    return [Known(line.holding_id, line.name, aliases.get(line.service_id, ()), line.reference) for line in lines]


def _promised(person_id: int, company_id: int, lines: Sequence[ServiceLine], now: datetime) -> frozenset[int]:
    """Those of the services with a problem whose end this person will be mailed of.

    Who was mailed of the problem itself, still wants to hear of what it is about, and can be reached.
    """
    troubled = [line for line in lines if line.status in PROBLEMS][:LOOKED_AT]
    if not troubled:
        return frozenset()
    person = db.session.get(Person, person_id)
    if person is None or person.deactivated_at is not None:
        return frozenset()
    notifies = {
        row.id: row.notifies
        for row in db.session.execute(
            select(Service.id, Service.notifies).where(Service.id.in_({line.service_id for line in troubled}))
        )
    }
    found = db.session.execute(select(*(_was_mailed(person_id, line) for line in troubled))).one()
    was_mailed = {line.holding_id: bool(each) for line, each in zip(troubled, found, strict=True)}
    topics = {line.holding_id: _topics(line) for line in troubled}
    wishes = wishes_of([person_id], [company_id])
    stopped = {each for each, *_rest in topics.values() if suppressed_addresses([person.email_key], each, now)}
    return frozenset(
        line.holding_id
        for line in troubled
        if topics[line.holding_id][0] not in stopped
        and wishes.wants_all(person_id, company_id, topics[line.holding_id])
        and (line.cause is not CauseKind.STATED or is_mailed(notifies[line.service_id], ServiceStatus.NORMAL))
        and was_mailed[line.holding_id]
    )


def _topics(line: ServiceLine) -> tuple[str, ...]:
    """What has to be wanted, the kind of mail first."""
    if line.cause is CauseKind.STATED:
        return (TOPIC, service_topic(line.service_id), status_topic(ServiceStatus.NORMAL))
    return ("incidents", service_topic(line.service_id))


def _was_mailed(person_id: int, line: ServiceLine) -> ColumnElement[bool]:
    """That a mail about what this line tells of went, or is about to go, to this person."""
    went = Delivery.state.in_((DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.SENT))
    of_incident = select(Broadcast.id).join(
        Incident,
        and_(
            Incident.public_id == line.incident,
            Broadcast.thread_key == literal("incident:").concat(cast(Incident.id, String)),
        ),
    )
    of_update = (
        select(UpdateBroadcast.broadcast_id)
        .join(UpdateTarget, UpdateTarget.update_id == UpdateBroadcast.update_id)
        .join(ServiceUpdate, ServiceUpdate.id == UpdateTarget.update_id)
        .where(
            UpdateTarget.holding_id == line.holding_id,
            ServiceUpdate.undone_at.is_(None),
            ServiceUpdate.began_at >= line.since,
            or_(UpdateBroadcast.service_id.is_(None), UpdateBroadcast.service_id == line.service_id),
        )
    )
    told = of_update if line.cause is CauseKind.STATED else of_incident
    return exists().where(Delivery.person_id == person_id, went, Delivery.broadcast_id.in_(told))
