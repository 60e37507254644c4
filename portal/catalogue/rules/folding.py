"""Whether the components of a group stand open on the status page."""

from enum import StrEnum


class Fold(StrEnum):
    """How a group is shown. One folded unless there is an incident opens while a component of it is not operational."""

    OPEN = "open"
    FOLDED = "folded"
    UNLESS_INCIDENT = "unless_incident"


def stands_open(fold: Fold, *, is_troubled: bool) -> bool:
    """Whether the group is open when the page is; `is_troubled`, while a component of it is not operational."""
    return fold is Fold.OPEN or (fold is Fold.UNLESS_INCIDENT and is_troubled)
