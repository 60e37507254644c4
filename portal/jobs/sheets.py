"""The generated style sheets of work statuses: the colours of their badges, because nothing in a page is inline.

The staff's knows every status by its id. The customers' holds public statuses only, by their opaque keys and in the
order of those, so that it tells neither how many there are inside nor in which order they stand.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from portal.jobs import queries
from portal.jobs.rules import WorkKind, public_order, text_colour


class Sheet(NamedTuple):
    """A style sheet, and the version that stands in its address: a hash of what it says."""

    text: str
    version: str


_VERSION = re.compile(r"[0-9a-f]{12}", re.ASCII)


def is_version(text: str) -> bool:
    """Whether this can be the version of a sheet, of today's or of an earlier one."""
    return _VERSION.fullmatch(text) is not None


def staff_sheet() -> Sheet:
    """The internal colours of every status of both kinds, as `.s-<id>`."""
    rows = [row for kind in WorkKind for row in queries.settings_of(kind).table]
    return _sheet((f"s-{row.id}", row.color, text_colour(row.color)) for row in rows)


def public_sheet() -> Sheet:
    """What customers see: one rule for each public status, as `.w-<key>`."""
    return _sheet(
        sorted(
            (f"w-{status.key}", status.color, status.text_color)
            for kind in WorkKind
            for status in public_order(queries.settings_of(kind).table)
        )
    )


def _sheet(rules: Iterable[tuple[str, str, str]]) -> Sheet:
    text = "".join(f".{name}{{--ground:{ground};--on-ground:{ink}}}\n" for name, ground, ink in rules)
    return Sheet(text, hashlib.sha256(text.encode()).hexdigest()[:12])
