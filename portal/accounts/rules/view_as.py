"""Staff looking at a portal as one company sees it: for how long, and while what holds."""

from datetime import datetime, timedelta

from portal.accounts.rules import Permission, Role, may, session_is_live

HAND_OVER_LIFE = timedelta(minutes=1)
"""How long the link that leads from the staff host to the portal domain may be followed, once."""

LIFE = timedelta(minutes=30)
"""How long one look may last, however busy."""


def look_is_live(
    *,
    role: Role | None,
    created_at: datetime,
    revoked_at: datetime | None,
    staff_created_at: datetime,
    staff_last_seen_at: datetime,
    staff_revoked_at: datetime | None,
    now: datetime,
) -> bool:
    """Whether a look may go on: it is not over, its staff session is live, and that person still has the right.

    The `staff_` moments are those of the session it was opened from. Looking does not keep that one alive, so it
    may have gone idle meanwhile; that ends the look no sooner than its own half hour would.
    """
    staff = session_is_live(
        is_staff=True,
        created_at=staff_created_at,
        last_seen_at=max(staff_last_seen_at, created_at),
        revoked_at=staff_revoked_at,
        now=now,
    )
    return staff and may(role, Permission.COMPANIES_VIEW_AS) and revoked_at is None and now - created_at < LIFE
