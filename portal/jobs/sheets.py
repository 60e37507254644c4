"""The generated style sheets of work statuses: the colours of their badges, because nothing in a page is inline.

The customers' holds public statuses only, by their opaque keys and in the order of those, so that it tells neither how
many there are inside nor in which order they stand, and only what customers see makes a new version of it. The staff's
knows besides every status by its id.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from portal.jobs import queries
from portal.jobs.rules import NEUTRAL_COLOUR, NEUTRAL_NAME, StatusTable, public_key, public_order, text_colour


class Sheet(NamedTuple):
    """A style sheet, and the version that stands in its address: a hash of what it says."""

    text: str
    version: str


_VERSION = re.compile(r"[0-9a-f]{12}", re.ASCII)


def is_version(text: str) -> bool:
    """Whether this can be the version of a sheet, of today's or of an earlier one."""
    return _VERSION.fullmatch(text) is not None


def staff_sheet() -> Sheet:
    """The internal colours of every status of both kinds, as `.s-<id>`, and what customers see. One query."""
    tables = queries.tables().values()
    inside = {f"s-{row.id}": row.color for table in tables for row in table.rows}
    return _sheet(inside | _public(tables))


def public_sheet() -> Sheet:
    """What customers see: one rule for each public status, as `.w-<key>`. One query."""
    return _sheet(dict(sorted(_public(queries.tables().values()).items())))


def _public(tables: Iterable[StatusTable]) -> dict[str, str]:
    """The colour of whatever a customer can be shown, by the name of its rule."""
    colours: dict[str, str] = {}
    for table in tables:
        colours[f"w-{public_key(table.kind, NEUTRAL_NAME)}"] = NEUTRAL_COLOUR
        colours |= {f"w-{status.key}": status.color for status in public_order(table)}
    return colours


def _sheet(colours: dict[str, str]) -> Sheet:
    rules = (f".{name}{{--ground:{ground};--on-ground:{text_colour(ground)}}}\n" for name, ground in colours.items())
    text = "".join(rules)
    return Sheet(text, hashlib.sha256(text.encode()).hexdigest()[:12])
