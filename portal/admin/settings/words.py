"""Saves of work statuses in words: what one came to, and what somebody else's has changed."""

from collections.abc import Mapping
from typing import Any

from portal.jobs.rules import PLURALS, Showing, StatusTable, WorkKind, differences


def save_words(kind: WorkKind, items: int, *, tell: bool) -> str:
    """What a save came to."""
    if not items:
        return "Saved. Nothing looks different to customers."
    plural = PLURALS[kind]
    counted = f"{items:,} open {plural if items > 1 else kind.value} {'look' if items > 1 else 'looks'} different"
    return f"Saved. {counted} to customers now{', and they will be mailed' if tell else ''}."


def told_differences(before: StatusTable, after: StatusTable) -> tuple[str, ...]:
    """What somebody else's saves have changed, a sentence for each status."""
    found = []
    for name, (was, now) in differences(before, after).items():
        if name == "order":
            found.append(f"The order is now {', '.join(f'“{each.name}”' for each in after.live)}.")
        elif was is None:
            found.append(f"“{name}” was added.")
        else:
            found.append(f"“{name}”: {', '.join(_change(field, was, now, after) for field in now)}.")
    return tuple(found)


FIELDS = {
    "name": "is called",
    "portal_name": "is named for customers",
    "color": "has the colour",
    "portal_color": "has the portal colour",
    "showing": "is shown as",
    "mapped_to_id": "is shown as",
    "category": "means",
    "is_mailed": "",
    "is_archived": "",
}


def _change(field: str, was: Mapping[str, Any], now: Mapping[str, Any], after: StatusTable) -> str:
    value = now[field]
    if field == "is_mailed":
        return "is mailed" if value else "is not mailed any more"
    if field == "is_archived":
        return "was archived" if value else "was taken back"
    if field == "mapped_to_id":
        target = after.by_id.get(value)
        return f"is shown as “{target.name}”" if target else "is no longer shown as another"
    if field == "showing":
        return SHOWN[Showing(value)]
    before = f"“{was[field]}”" if was[field] else "its own"
    return f"{FIELDS[field]} “{value}”, no longer {before}" if value else f"{FIELDS[field]} its own"


SHOWN = {
    Showing.ITSELF: "is shown as itself",
    Showing.MAPPED: "is shown as another status",
    Showing.HIDDEN: "is hidden",
    Showing.ITEM_HIDDEN: "hides the whole item",
}
