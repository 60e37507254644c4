"""What comes in and goes out in bulk, without a database: files, columns, verdicts."""

from enum import StrEnum


class ImportState(StrEnum):
    """Where an import stands: its columns are chosen, a dry run is made, its result is looked at, it is applied."""

    MAPPING = "mapping"
    PLANNING = "planning"
    PLANNED = "planned"
    APPLYING = "applying"
    DONE = "done"
    DISCARDED = "discarded"


class Verdict(StrEnum):
    """What an import would do with one row of its file."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
