"""What a message may be, and who waits for whom, pure."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

BODY_LENGTH = 10_000
"""Characters of one message."""

MESSAGES_AN_HOUR = 60
"""Messages one customer may write within an hour: more than a conversation has, less than a flood."""

WITHIN = timedelta(hours=1)

SHOWN = 50
"""Messages of a thread that are shown at once, the newest."""

KEY_LENGTH = 100
"""Characters of the key a form brings along."""


def message_key(person_id: int | None, kind: str, subject_id: int, key: str) -> str:
    """What makes a form that is sent twice one message: its key, for this person and this subject alone."""
    return hashlib.sha256(f"message\n{person_id}\n{kind}\n{subject_id}\n{key}".encode()).hexdigest()


def waits_since(public: Iterable[tuple[bool, datetime]]) -> datetime | None:
    """Since when a customer waits, of the public messages in their order, each with whether staff wrote it.

    It is the first message since staff wrote last; None where staff had the last word, or nobody said anything.
    """
    since = None
    for is_staff, at in public:
        since = None if is_staff else since or at
    return since
