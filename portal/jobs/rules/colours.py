"""Colours of work statuses: a palette to choose from, any other by its hex, and the text that stands on them."""

import re
from typing import NamedTuple

from portal.brand import contrast

BLACK, WHITE = "#000000", "#ffffff"

_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})")


class Swatch(NamedTuple):
    name: str
    colour: str


PALETTE = (
    Swatch("Slate", "#64748b"),
    Swatch("Stone", "#8a7f72"),
    Swatch("Red", "#dc2626"),
    Swatch("Orange", "#ea7317"),
    Swatch("Amber", "#f2b01e"),
    Swatch("Lime", "#7cb518"),
    Swatch("Green", "#15803d"),
    Swatch("Teal", "#0f8b8d"),
    Swatch("Sky", "#2e9bd6"),
    Swatch("Blue", "#2457d6"),
    Swatch("Violet", "#7c4ddb"),
    Swatch("Pink", "#d6338a"),
)
"""Twelve that can be told apart, in the order of the rainbow; any other colour is typed."""


def normal_colour(typed: str) -> str | None:
    """A typed colour as #rrggbb: with or without #, three digits or six. None for what is no colour."""
    found = _HEX.fullmatch(typed.strip().lower())
    if found is None:
        return None
    digits = found[1]
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def text_colour(ground: str) -> str:
    """Black or white, whichever contrasts more with this #rrggbb; one of the two always reaches 4.5 to 1."""
    return max((WHITE, BLACK), key=lambda candidate: contrast(candidate, ground))
