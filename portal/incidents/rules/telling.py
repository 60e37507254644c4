"""Who is told of a report or of planned work, in rings: those it hits, everybody else, and those without a login."""

from collections.abc import Mapping
from typing import Any

AFFECTED, OTHERS = "affected", "others"
"""The two phases of an expansion, in their order."""

PRIORITY = {AFFECTED: 0, OTHERS: 40}
"""Added to the priority of the broadcast: the affected are all sent to before anybody else."""

PUBLIC = "public"
"""The mark in a frozen selector that this is for everybody, also signed out. Whoever writes the selector says so."""

FOLLOWED_BY_ALL = "followed_by_all"
"""The mark in a frozen selector that those who follow a report are told of it whether it hits them or not."""


def narrowed(selector: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """A frozen selector as it would be had only the affected been told, and the ring of the last who still are.

    What reaches nobody concerns everybody who has a login: whom it hits is not known then.
    """
    reaches_nobody = selector["company_ids"] == []
    found = {name: value for name, value in selector.items() if name != FOLLOWED_BY_ALL}
    found |= {"everyone": reaches_nobody, PUBLIC: False}
    return found, PRIORITY[OTHERS if reaches_nobody else AFFECTED]
