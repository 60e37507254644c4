"""How somebody stands here: signed up, invited, or shut out."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Standing(StrEnum):
    """Whether a person can sign in, and if not, how far their invitation is."""

    ACTIVE = "active"
    INVITED = "invited"
    LAPSED = "lapsed"
    UNINVITED = "uninvited"
    DEACTIVATED = "deactivated"


class Invitation(NamedTuple):
    """The newest invitation of a person that was neither used nor withdrawn."""

    link_id: int
    sent_at: datetime
    expires_at: datetime


class Stand(NamedTuple):
    """How somebody stands, and since when where that says something."""

    standing: Standing
    since: datetime | None = None


def stand_of(
    *, has_password: bool, deactivated_at: datetime | None, invitation: Invitation | None, now: datetime
) -> Stand:
    """How a person stands. An invitation of somebody who has a password says nothing any more."""
    if deactivated_at is not None:
        return Stand(Standing.DEACTIVATED, deactivated_at)
    if has_password:
        return Stand(Standing.ACTIVE)
    if invitation is None:
        return Stand(Standing.UNINVITED)
    if now < invitation.expires_at:
        return Stand(Standing.INVITED, invitation.sent_at)
    return Stand(Standing.LAPSED, invitation.expires_at)
