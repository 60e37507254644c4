"""What a quote offers, as one value with a hash: what is shown, what is signed, and how two of them differ. Pure.

A signature is bound to the SHA-256 of the canonical JSON of exactly what was shown. Source: work-alerts-tickets, 5.1
("Accept/decline race") and section 6, number 6.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from difflib import SequenceMatcher
from typing import Any

from portal.jobs.rules.amounts import LineGiven, Totals, line_net, totals

CANVAS = (600, 200)
"""Width and height of the field a signature is drawn in; its points are whole numbers within."""

STROKES_AT_MOST, POINTS_AT_MOST = 80, 4000
LEAST_DRAWN = 40
"""What the lines of a drawn signature must be long together, in points of the field: a dot is none."""

NAME_LENGTH = 120


@dataclass(frozen=True)
class Offered:
    """All that a customer accepts, when they accept a quote."""

    number: str
    title: str
    description: str
    site: str
    currency: str
    valid_until: date | None
    terms: str
    lines: tuple[LineGiven, ...]

    @property
    def totals(self) -> Totals:
        return totals(self.lines)

    def net(self, line: LineGiven) -> int:
        """What one of the lines comes to before tax, in minor units."""
        return line_net(line)

    def to_json(self) -> dict[str, Any]:
        """As it is stored and hashed, with the sums people read."""
        sums = self.totals
        return {
            **asdict(self),
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
            "lines": [asdict(line) for line in self.lines],
            "net": sums.net,
            "taxes": [[part.tax_hundredths, part.net, part.tax] for part in sums.taxes],
            "gross": sums.gross,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Offered":
        """What was stored."""
        until = stored["valid_until"]
        return cls(
            number=stored["number"],
            title=stored["title"],
            description=stored["description"],
            site=stored["site"],
            currency=stored["currency"],
            valid_until=date.fromisoformat(until) if until else None,
            terms=stored["terms"],
            lines=tuple(LineGiven(**line) for line in stored["lines"]),
        )

    @property
    def hash(self) -> str:
        """The SHA-256 of the canonical JSON: sorted keys, no spaces, UTF-8."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was: `what` is a field of Offered, "line" or "total". None is what was, or is, not
    there; lines are LineGiven, a total is in minor units."""

    what: str
    before: Any
    after: Any


FIELDS = ("title", "description", "site", "currency", "valid_until", "terms")


def differences(before: Offered, after: Offered) -> tuple[Difference, ...]:
    """What was changed from one offer to the other, in the order in which they are read."""
    found = [
        Difference(name, getattr(before, name), getattr(after, name))
        for name in FIELDS
        if getattr(before, name) != getattr(after, name)
    ]
    found += _lines_between(before.lines, after.lines)
    if before.totals.gross != after.totals.gross:
        found.append(Difference("total", before.totals.gross, after.totals.gross))
    return tuple(found)


def _lines_between(before: Sequence[LineGiven], after: Sequence[LineGiven]) -> list[Difference]:
    found = []
    for kind, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        old, new = list(before[start:end]), list(after[new_start:new_end])
        for place in range(max(len(old), len(new))):
            found.append(
                Difference("line", old[place] if place < len(old) else None, new[place] if place < len(new) else None)
            )
    return found


def drawn_strokes(text: str) -> list[list[int]] | None:
    """A drawn signature as the page sends it: a list of strokes, each x, y, x, y, … in whole points of the field.

    None for anything else, for what lies outside the field, is far too much, or is hardly a line.
    """
    if not text or len(text) > 60_000:
        return None
    try:
        strokes = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(strokes, list) or not 1 <= len(strokes) <= STROKES_AT_MOST:
        return None
    drawn = 0.0
    points = 0
    for stroke in strokes:
        if not isinstance(stroke, list) or len(stroke) < 2 or len(stroke) % 2:
            return None
        if not all(type(each) is int and 0 <= each <= CANVAS[place % 2] for place, each in enumerate(stroke)):
            return None
        points += len(stroke) // 2
        for place in range(2, len(stroke), 2):
            drawn += abs(stroke[place] - stroke[place - 2]) + abs(stroke[place + 1] - stroke[place - 1])
    return strokes if points <= POINTS_AT_MOST and drawn >= LEAST_DRAWN else None


def drawing_of(strokes: Sequence[Sequence[int]]) -> str:
    """The path that draws a signature again, for the `d` of an SVG path."""
    parts = []
    for stroke in strokes:
        pairs = [f"{stroke[place]} {stroke[place + 1]}" for place in range(0, len(stroke), 2)]
        parts.append("M" + "L".join(pairs) if len(pairs) > 1 else f"M{pairs[0]}h1")
    return "".join(parts)
