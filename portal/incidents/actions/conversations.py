"""Ending what somebody without a login followed, once the incident is over."""

from datetime import datetime

from portal.incidents.queries.conversations import over
from portal.incidents.rules.conversations import thread_key
from portal.notifications.subscribers import following

AT_A_TIME = 20


def due_ends(now: datetime) -> list[int]:
    """The incidents that are over and that somebody still follows: what `end_following` is to do."""
    return [int(each.partition(":")[2]) for each in over(now, AT_A_TIME)]


def end_following(incident_id: int, now: datetime) -> bool:
    """Have nobody follow an incident that is over, some at a time; whether there was anybody. The caller commits."""
    key = thread_key(incident_id)
    # It may have been reopened since it was found.
    return key in over(now, AT_A_TIME) and following.end(key, now) > 0
