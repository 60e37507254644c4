"""What customers ask of planned work: another slot for one maintenance, and times at which nothing is touched."""

from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.models import Company
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.queries import company_reached_select
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.asking import ask_owner
from portal.incidents.actions.entries import AHEAD_AT_MOST, check_zone, clean_text, components_of
from portal.incidents.actions.maintenance import move
from portal.incidents.models import Freeze, Maintenance, SlotRequest
from portal.incidents.rules import MaintenanceState, Visibility, public_id_for
from portal.incidents.rules.maintenance import FREEZE_AT_MOST, FREEZES_AT_MOST, SlotState, state_of
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings

TEXT_LENGTH = 2000
REASON_LENGTH = 500
ASKED_AT_MOST = 5
"""How often one company may ask about one maintenance, answers in between included."""


def ask_for_slot(
    maintenance: Maintenance,
    *,
    company_id: int,
    person_id: int | None,
    text: str,
    starts_at: datetime | None,
    ends_at: datetime | None,
    zone: str,
    by: Actor,
    now: datetime,
    idempotency_key: str,
) -> SlotRequest:
    """Ask staff for another slot, with a proposal or without; its owner is told by mail.

    The caller has seen to it that the company sees the maintenance; NotFound when it does not reach the company. One
    wish is open at a time. The same key again returns what it made the first time.
    """
    public_id = public_id_for(f"{company_id}:{idempotency_key}")
    known = db.session.scalars(select(SlotRequest).where(SlotRequest.public_id == public_id)).one_or_none()
    if known:
        return known
    if not _reaches(maintenance.id, company_id, now):
        raise NotFound
    if state_of(maintenance, now) is not MaintenanceState.SCHEDULED or maintenance.starts_at <= now:
        raise RuleViolation(_("It has begun, or is over: another slot cannot be asked for."))
    said = _text(text)
    _check_proposal(starts_at, ends_at, zone, now)
    mine = (SlotRequest.maintenance_id == maintenance.id, SlotRequest.company_id == company_id)
    asked = db.session.scalars(select(SlotRequest.state).where(*mine)).all()
    if SlotState.OPEN in asked:
        raise RuleViolation(_("Your company has asked already. We will answer."))
    if len(asked) >= ASKED_AT_MOST:
        raise RuleViolation(_("Your company has asked for this several times. Please write us a message."))
    made = SlotRequest(
        public_id=public_id,
        maintenance_id=maintenance.id,
        company_id=company_id,
        person_id=person_id,
        text=said,
        starts_at=starts_at,
        ends_at=ends_at,
        zone=zone,
        state=SlotState.OPEN,
        answer="",
        created_at=now,
    )
    try:
        with db.session.begin_nested():
            db.session.add(made)
            db.session.flush()
    except IntegrityError as trouble:
        raise RuleViolation(_("Your company has asked already. We will answer.")) from trouble
    audit.record(
        "slot_request.ask",
        object_kind="slot_request",
        object_id=made.id,
        company_id=company_id,
        by=by,
        now=now,
        after=_said(made),
    )
    company = db.session.scalar(select(Company.name).where(Company.id == company_id))
    # Asked of the database: whoever asks has loaded it with the title of their language, and staff read originals.
    title = db.session.scalar(select(Maintenance.title).where(Maintenance.id == maintenance.id))
    ask_owner(
        maintenance,
        f"slot:{made.id}",
        f"{company} asks for another slot: {title}",
        said,
        now=now,
    )
    events.ring(events.STAFF, events.company_topic(company_id))
    return made


def answer_request(
    request: SlotRequest,
    *,
    is_accepted: bool,
    answer: str,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    times: tuple[datetime, datetime, str] | None = None,
    maintenance_version: int | None = None,
    notify: bool = True,
) -> SlotRequest:
    """Accept or decline a wish, once. Accepted, `times` (start, end, zone) move the maintenance in the same step.

    `maintenance_version` is the version whoever answers has seen. The same answer again changes nothing; StaleEdit when
    somebody else answered.
    """
    db.session.refresh(request, with_for_update={"of": SlotRequest})
    state = SlotState.ACCEPTED if is_accepted else SlotState.DECLINED
    text = _text(answer, is_needed=not is_accepted, field="answer")
    if request.state is state and request.answer == text and request.answered_by_id == author_id:
        return request
    if request.version != version or request.state is not SlotState.OPEN:
        raise StaleEdit
    if times is not None:
        if not is_accepted:
            raise RuleViolation("A wish that is declined moves nothing.")
        maintenance = db.session.get_one(Maintenance, request.maintenance_id)
        starts_at, ends_at, zone = times
        move(
            maintenance,
            starts_at,
            ends_at,
            zone,
            "",
            notify=notify,
            version=maintenance.version if maintenance_version is None else maintenance_version,
            by=by,
            author_id=author_id,
            now=now,
            idempotency_key=f"{idempotency_key}:move",
        )
    request.state, request.answer = state, text
    request.answered_at, request.answered_by_id = now, author_id
    db.session.flush()
    audit.record(
        "slot_request.answer",
        object_kind="slot_request",
        object_id=request.id,
        company_id=request.company_id,
        by=by,
        now=now,
        after={"state": state, "answer": text},
    )
    events.ring(events.STAFF, events.company_topic(request.company_id))
    _mail_answer(request, is_moved=times is not None, by=by, now=now)
    return request


def add_freeze(
    company_id: int,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    *,
    zone: str,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
) -> Freeze:
    """Note that a company wants nothing it uses worked on from–to: planners see it.

    The same key again changes nothing.
    """
    public_id = public_id_for(f"{company_id}:{idempotency_key}")
    if known := db.session.scalars(select(Freeze).where(Freeze.public_id == public_id)).one_or_none():
        return known
    check_zone(zone)
    why = one_line(reason)
    if len(why) > REASON_LENGTH:
        raise RuleViolation(_("A reason has at most %(number)s characters.", number=REASON_LENGTH), "reason")
    if ends_at <= starts_at:
        raise RuleViolation(_("The end must come after the start."), "ends_at")
    if ends_at <= now:
        raise RuleViolation(_("This time is over already."), "ends_at")
    if ends_at - starts_at > FREEZE_AT_MOST:
        raise RuleViolation(_("It lasts at most %(number)s days.", number=FREEZE_AT_MOST.days), "ends_at")
    if ends_at - now > AHEAD_AT_MOST:
        raise RuleViolation(_("The end is more than two years ahead."), "ends_at")
    # Two at once follow each other, so that together they are not too many.
    db.session.execute(select(Company.id).where(Company.id == company_id).with_for_update(key_share=True))
    live = db.session.scalar(
        select(func.count())
        .select_from(Freeze)
        .where(Freeze.company_id == company_id, Freeze.removed_at.is_(None), Freeze.ends_at > now)
    )
    if (live or 0) >= FREEZES_AT_MOST:
        raise RuleViolation(
            _("There are %(number)s already. Remove one that is no longer needed.", number=FREEZES_AT_MOST)
        )
    made = Freeze(
        public_id=public_id,
        company_id=company_id,
        starts_at=starts_at,
        ends_at=ends_at,
        zone=zone,
        reason=why,
        created_at=now,
        created_by_id=author_id,
    )
    db.session.add(made)
    db.session.flush()
    _note_freeze("freeze.add", made, by=by, now=now)
    return made


def remove_freeze(freeze: Freeze, *, by: Actor, now: datetime) -> None:
    """Take a freeze back. Again changes nothing."""
    db.session.refresh(freeze, with_for_update={"of": Freeze})
    if freeze.removed_at is not None:
        return
    freeze.removed_at = now
    db.session.flush()
    _note_freeze("freeze.remove", freeze, by=by, now=now)


def _reaches(maintenance_id: int, company_id: int, now: datetime) -> bool:
    reached = company_reached_select(components_of(maintenance_id), now).subquery()
    return db.session.scalar(select(reached.c.company_id).where(reached.c.company_id == company_id)) is not None


def _check_proposal(starts_at: datetime | None, ends_at: datetime | None, zone: str, now: datetime) -> None:
    check_zone(zone)
    if starts_at is None:
        if ends_at is not None:
            raise RuleViolation(_("Say when it should start, too."), "starts_at")
        return
    if starts_at <= now:
        raise RuleViolation(_("Propose a time that is ahead."), "starts_at")
    if starts_at - now > AHEAD_AT_MOST:
        raise RuleViolation(_("Propose a time within two years."), "starts_at")
    if ends_at is not None and not timedelta() < ends_at - starts_at <= timedelta(days=31):
        raise RuleViolation(_("The end comes after the start, and within 31 days."), "ends_at")


def _mail_answer(request: SlotRequest, *, is_moved: bool, by: Actor, now: datetime) -> None:
    """Tell whoever asked, if they still see what they asked about."""
    maintenance = db.session.get_one(Maintenance, request.maintenance_id)
    if request.person_id is None or maintenance.visibility is not Visibility.PUBLIC:
        return
    queue_broadcast(
        "slot_answer",
        idempotency_key=f"slot_request:{request.id}:answer",
        title=maintenance.title,
        selector={
            "person_id": request.person_id,
            "company_id": request.company_id,
            "title": maintenance.title,
            "titles": maintenance.titles,
            "answer": request.answer,
        },
        content=render_wordings(
            "slot_answer",
            is_moved=is_moved,
            is_accepted=request.state is SlotState.ACCEPTED,
            has_answer=bool(request.answer),
            public_id=maintenance.public_id,
        ),
        thread_key=f"slot_request:{request.id}",
        by_person_id=by.person_id,
        now=now,
    )


def _text(text: str, *, is_needed: bool = True, field: str = "text") -> str:
    said = clean_text(text)
    if is_needed and not said:
        raise RuleViolation(_("Write a sentence about it."), field)
    if len(said) > TEXT_LENGTH:
        raise RuleViolation(_("A text has at most %(number)s characters.", number=f"{TEXT_LENGTH:,}"), field)
    return said


def _said(request: SlotRequest) -> dict[str, object]:
    return {
        "maintenance_id": request.maintenance_id,
        "text": request.text,
        "starts_at": request.starts_at.isoformat() if request.starts_at else None,
        "ends_at": request.ends_at.isoformat() if request.ends_at else None,
    }


def _note_freeze(action: str, freeze: Freeze, *, by: Actor, now: datetime) -> None:
    audit.record(
        action,
        object_kind="freeze",
        object_id=freeze.id,
        company_id=freeze.company_id,
        by=by,
        now=now,
        after={
            "starts_at": freeze.starts_at.isoformat(),
            "ends_at": freeze.ends_at.isoformat(),
            "reason": freeze.reason,
        },
    )
    events.ring(events.STAFF, events.company_topic(freeze.company_id))
