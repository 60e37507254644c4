"""What comes in and goes out in bulk, without a database: files, columns, verdicts."""

from enum import StrEnum


class ImportState(StrEnum):
    """Where an import stands: its columns are chosen, a dry run is made, its result is looked at, it is applied.

    After that some kinds do more, one row after the other, such as inviting people (`FOLLOWING`).
    """

    MAPPING = "mapping"
    PLANNING = "planning"
    PLANNED = "planned"
    APPLYING = "applying"
    FOLLOWING = "following"
    DONE = "done"
    DISCARDED = "discarded"


class Verdict(StrEnum):
    """What an import would do with one row of its file."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
