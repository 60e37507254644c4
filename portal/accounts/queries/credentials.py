"""Reading what proves who somebody is: mailed links, second factors, what signing in asks of everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import AccountMail, MailedLink, Person, RecoveryCode, SecondFactor, Session, SignInPolicy
from portal.accounts.rules import Role, session_is_live
from portal.accounts.rules.links import Purpose, hashed, opens
from portal.extensions import db


def open_link(token: str, purpose: Purpose, now: datetime) -> MailedLink | None:
    """The link this token opens, with its person; None when it is wrong, spent, replaced, old or for something else."""
    link = db.session.scalars(
        select(MailedLink)
        .options(joinedload(MailedLink.person))
        .where(MailedLink.token_hash == hashed(token), MailedLink.purpose == purpose)
    ).one_or_none()
    return link if link is not None and link_opens(link, now) else None


def link_opens(link: MailedLink, now: datetime) -> bool:
    """Whether a link, loaded with its person, still opens anything."""
    return link.person.deactivated_at is None and opens(
        now=now,
        expires_at=link.expires_at,
        used_at=link.used_at,
        revoked_at=link.revoked_at,
        bound_stamp=link.password_stamp,
        stamp=link.person.password_stamp,
    )


def link_by_id(link_id: int) -> MailedLink | None:
    return db.session.scalars(
        select(MailedLink).options(joinedload(MailedLink.person)).where(MailedLink.id == link_id)
    ).one_or_none()


def latest_invitation(person_id: int) -> MailedLink | None:
    """The last invitation of this person, whatever became of it."""
    return db.session.scalars(
        select(MailedLink)
        .options(joinedload(MailedLink.person))
        .where(MailedLink.person_id == person_id, MailedLink.purpose == Purpose.INVITATION)
        .order_by(MailedLink.id.desc())
        .limit(1)
    ).one_or_none()


def is_disinvited(person: Person) -> bool:
    """Whether somebody who never chose a password was invited, and the invitation was taken back."""
    if person.password_hash or person.password_changed_at:
        return False
    latest = latest_invitation(person.id)
    return latest is not None and latest.revoked_at is not None


def waiting_email_change(person_id: int, now: datetime) -> MailedLink | None:
    """The change of address this person has asked for and not confirmed yet."""
    link = db.session.scalars(
        select(MailedLink)
        .options(joinedload(MailedLink.person))
        .where(
            MailedLink.person_id == person_id,
            MailedLink.purpose == Purpose.EMAIL_CHANGE,
            MailedLink.used_at.is_(None),
            MailedLink.revoked_at.is_(None),
        )
        .order_by(MailedLink.id.desc())
        .limit(1)
    ).one_or_none()
    return link if link is not None and link_opens(link, now) else None


def waiting_mails(limit: int) -> Sequence[AccountMail]:
    """The mails about accounts that nobody has written yet, locked against others who write them."""
    return db.session.scalars(
        select(AccountMail)
        .where(AccountMail.handled_at.is_(None))
        .order_by(AccountMail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


@dataclass(frozen=True)
class Factor:
    """The second factor of somebody: since when it counts, and how many recovery codes are left."""

    since: datetime
    codes_left: int


def second_factor_of(person_id: int) -> Factor | None:
    """The second factor that somebody signs in with; None while there is none, or none confirmed."""
    codes = (
        select(func.count())
        .where(RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None))
        .scalar_subquery()
    )
    row = db.session.execute(
        select(SecondFactor.confirmed_at, codes.label("codes")).where(
            SecondFactor.person_id == person_id, SecondFactor.confirmed_at.is_not(None)
        )
    ).one_or_none()
    return Factor(row.confirmed_at, row.codes) if row and row.confirmed_at else None


def begun_second_factor(person_id: int) -> SecondFactor | None:
    """The second factor that somebody is setting up and has not confirmed."""
    factor = db.session.get(SecondFactor, person_id)
    return factor if factor is not None and factor.confirmed_at is None else None


def people_with_second_factor(person_ids: Sequence[int]) -> frozenset[int]:
    """Those of the people who sign in with a second factor. One query."""
    return frozenset(
        db.session.scalars(
            select(SecondFactor.person_id).where(
                SecondFactor.person_id.in_(person_ids), SecondFactor.confirmed_at.is_not(None)
            )
        )
    )


@dataclass(frozen=True)
class Policy:
    """What signing in asks of all staff, and how many of them have no second factor yet."""

    second_factor_required: bool
    version: int
    staff_without: int


def sign_in_policy() -> Policy:
    """The rule of this installation as an administrator reads and changes it."""
    policy = db.session.scalars(select(SignInPolicy)).one_or_none()
    has_factor = select(SecondFactor.person_id).where(SecondFactor.confirmed_at.is_not(None))
    without = db.session.scalar(
        select(func.count()).where(
            Person.role.is_not(None), Person.deactivated_at.is_(None), Person.id.not_in(has_factor)
        )
    )
    return Policy(policy.second_factor_required if policy else False, policy.version if policy else 0, without or 0)


def live_sessions_of(person_id: int, role: Role | None, now: datetime) -> list[Session]:
    """The sessions of this person that could be used now, the one used last first; looks of staff are not theirs."""
    rows = db.session.scalars(
        select(Session)
        .options(joinedload(Session.company))
        .where(Session.person_id == person_id, Session.revoked_at.is_(None), Session.is_view_as.is_(False))
        .order_by(Session.last_seen_at.desc(), Session.id.desc())
    )
    return [
        session
        for session in rows
        if session_is_live(
            is_staff=role is not None,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            revoked_at=session.revoked_at,
            now=now,
        )
    ]
