"""When an announcement stands, and in which words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

TITLE_LENGTH = 160
BODY_LENGTH = 10_000


class Stage(StrEnum):
    """Where an announcement is by the clock."""

    AHEAD = "ahead"
    STANDING = "standing"
    OVER = "over"


def stage_of(starts_at: datetime, ends_at: datetime | None, now: datetime) -> Stage:
    """Where the announcement is; without an end it stands until somebody ends it."""
    if ends_at is not None and ends_at <= now:
        return Stage.OVER
    return Stage.STANDING if starts_at <= now else Stage.AHEAD


def language_of(wordings: Mapping[str, object], preferred: Sequence[str]) -> str:
    """The language it is told in: the first of the preferred that it is written in, else the first it is written in."""
    return next((each for each in (*preferred, *sorted(wordings)) if each in wordings), "")
