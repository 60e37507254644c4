"""A badge as SVG: what it is of, and how that is, in words, with a colour."""

from typing import NamedTuple

NARROW, WIDE = "iljtfrI.,:;!'|()[] ", "mwMWÄÖÜ@%—…"
LABEL_LENGTH = 60
"""Characters of the left part at most; more of them are cut."""

GROUND = "#3d444d"
TONES = {"good": "#1a7544", "planned": "#2457d6", "warn": "#8a5a00", "poor": "#ad4411", "bad": "#b3261e"}
"""The ground of the right part by tone; white text can be read on each of them (WCAG 2.2, 4.5 to 1)."""


class Drawing(NamedTuple):
    """A badge with its measures in pixels: `middle` is where the two parts meet."""

    label: str
    words: str
    middle: int
    width: int
    ground: str
    tone: str

    @property
    def label_width(self) -> int:
        """The room of the left text."""
        return self.middle - 14

    @property
    def words_width(self) -> int:
        """The room of the right text, behind the shape."""
        return self.width - self.middle - 32


def drawing_of(label: str, words: str, tone: str) -> Drawing:
    """The badge for these two texts. A label that is too long is cut where a reader sees that it is."""
    if len(label) > LABEL_LENGTH:
        label = label[: LABEL_LENGTH - 1].rstrip() + "…"
    middle = _width(label) + 14
    return Drawing(label, words, middle, middle + _width(words) + 32, GROUND, TONES.get(tone, GROUND))


def _width(text: str) -> int:
    """About how wide a text is at 11 pixels; the drawing holds it to just that."""
    found = 0.0
    for each in text:
        if each in NARROW:
            found += 3.9
        elif each in WIDE or ord(each) > 0x2000:
            found += 9.8
        else:
            found += 7.4 if each.isupper() else 6.5
    return max(1, round(found))
