"""The writers of the outbox as the rest of the house knows it: queue, expand, steer, suppress.

What the sending process writes stands in `leases.py`, `results.py` and `endings.py`.
"""

from portal.notifications.actions.inserting import insert_new
from portal.notifications.actions.preferences import (
    choose_for_company,
    choose_for_person,
    follow_company,
    set_contact,
)
from portal.notifications.actions.queueing import (
    WRITTEN_AT_ONCE,
    WRITTEN_PER_STEP,
    expand_step,
    give_up_expanding,
    next_step,
    queue_broadcast,
    values_of,
    write_step,
)
from portal.notifications.actions.relays import mend_relay
from portal.notifications.actions.steering import (
    cancel,
    cancel_all,
    cancel_what_waits,
    narrow,
    pause,
    resume,
    retry_failed,
)
from portal.notifications.actions.strikes import strike
from portal.notifications.actions.suppressions import (
    lift_suppression,
    subscribe_again,
    suppress,
    suppress_by_hand,
    unsubscribe,
    why_suppressed,
)

__all__ = [
    "WRITTEN_AT_ONCE",
    "WRITTEN_PER_STEP",
    "cancel",
    "cancel_all",
    "cancel_what_waits",
    "choose_for_company",
    "choose_for_person",
    "expand_step",
    "follow_company",
    "give_up_expanding",
    "insert_new",
    "lift_suppression",
    "mend_relay",
    "narrow",
    "next_step",
    "pause",
    "queue_broadcast",
    "resume",
    "retry_failed",
    "set_contact",
    "strike",
    "subscribe_again",
    "suppress",
    "suppress_by_hand",
    "unsubscribe",
    "values_of",
    "why_suppressed",
    "write_step",
]
