"""The colours of a brand: from one accent to what stays readable on light and dark pages. Pure.

Lightness is moved in OKLCH, where hue and strength of a colour stay what they look like; contrast is that of
WCAG 2.2. The page colours here are those of `static/css/10-tokens.css`, and a test holds them together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

TEXT = 4.5
"""Least contrast of text (WCAG 2.2, 1.4.3)."""
SHAPE = 3.0
"""Least contrast of what is no text but must be seen: switches, focus rings (1.4.11)."""

STAFF_ACCENT = "#3346c7"


class Oklch(NamedTuple):
    """A colour as lightness (0 to 1), chroma, and hue in degrees."""

    lightness: float
    chroma: float
    hue: float


class Page(NamedTuple):
    """The surfaces text stands on in one scheme: the one with the least contrast to text, and which way text goes."""

    surface: str
    is_dark: bool


LIGHT = Page("#f0f2f4", is_dark=False)
DARK = Page("#202328", is_dark=True)


@dataclass(frozen=True)
class Accent:
    """What one accent becomes in one scheme, as #rrggbb.

    `fill` is the ground of buttons and the mark of what is current, `ink` the words on it, `text` links,
    `soft` the ground of a chosen row, on which `text` can be read too.
    """

    fill: str
    ink: str
    text: str
    soft: str


def accent_of(colour: str, page: Page) -> Accent:
    """The accent made readable on this page; the colour itself wherever it already is.

    On light pages the words of buttons are white: an accent that cannot carry white text is darkened until it can.
    On dark pages they are white or black, whichever reads better.
    """
    base = oklch(colour)
    soft = rgb(
        Oklch(0.29, min(base.chroma, 0.05), base.hue)
        if page.is_dark
        else Oklch(0.955, min(base.chroma, 0.025), base.hue)
    )
    fill = _moved(colour, page, [page.surface], SHAPE) if page.is_dark else white_carrier(colour)
    ink = max(("#ffffff", "#000000"), key=lambda candidate: contrast(candidate, fill)) if page.is_dark else "#ffffff"
    return Accent(fill, ink, _moved(colour, page, [page.surface, soft], TEXT), soft)


@dataclass(frozen=True)
class Tone:
    """What one colour of a status becomes in one scheme: of its `shape`, of `text` in it, and of the `soft` ground."""

    shape: str
    text: str
    soft: str


def tone_of(colour: str, page: Page) -> Tone:
    """The colour of a status made visible on this page, the mark inside its shape too; itself wherever it is already.

    The mark is white on light pages and nearly black on dark ones, so what stands out from the page carries it.
    """
    base = oklch(colour)
    soft = rgb(
        Oklch(0.25, min(base.chroma, 0.04), base.hue)
        if page.is_dark
        else Oklch(0.965, min(base.chroma, 0.025), base.hue)
    )
    return Tone(_moved(colour, page, [page.surface], SHAPE), _moved(colour, page, [page.surface, soft], TEXT), soft)


def white_carrier(colour: str) -> str:
    """The colour, darkened in small steps until white text on it can be read: the nearest that works."""
    return _moved(colour, LIGHT, ["#ffffff"], TEXT)


class Advice(NamedTuple):
    """What becomes of a colour on pages of one scheme: what buttons get, and a sentence for whoever chooses it."""

    is_kept: bool
    fill: str
    sentence: str


def advice(colour: str, page: Page) -> Advice:
    """Say in words what this accent becomes on light or dark pages, and why. Ratios are cut, never rounded up."""
    accent = accent_of(colour, page)
    is_kept = accent.fill == colour
    if page.is_dark:
        reached = _ratio(contrast(accent.fill, page.surface))
        words = "white" if accent.ink == "#ffffff" else "black"
        if is_kept:
            sentence = f"On dark pages buttons are {colour} as it is, with {words} words."
        else:
            was = _ratio(contrast(colour, page.surface))
            sentence = (
                f"On dark pages {colour} hardly shows ({was} to 1, {SHAPE:g} needed), so buttons are {accent.fill} "
                f"({reached} to 1), with {words} words."
            )
        return Advice(is_kept, accent.fill, sentence)
    reached = _ratio(contrast("#ffffff", accent.fill))
    if is_kept:
        sentence = f"White words on {colour} can be read ({reached} to 1, {TEXT:g} needed). It is used as it is."
    else:
        was = _ratio(contrast("#ffffff", colour))
        sentence = (
            f"White words on {colour} cannot be read ({was} to 1, {TEXT:g} needed). On light pages buttons are "
            f"{accent.fill} instead, the nearest that works ({reached} to 1)."
        )
    return Advice(is_kept, accent.fill, sentence)


def style_sheet(colour: str, statuses: Mapping[str, str] = MappingProxyType({})) -> str:
    """The custom properties of a brand for both schemes, and of the service statuses that have a colour of their own.

    `statuses` are colours by the status's value; `status_class` is what an element of that status is called.
    """
    light, dark = (_sheet(colour, statuses, page) for page in (LIGHT, DARK))
    return f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n"


def status_sheet(statuses: Mapping[str, str], within: str) -> str:
    """The colours of service statuses for both schemes inside one element alone: `within` is a selector."""
    light, dark = (_tones(statuses, page, f"{within} ") for page in (LIGHT, DARK))
    return f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n"


def status_class(value: str) -> str:
    """The class of what shows a service status, so that a portal domain may colour it."""
    return "service-" + value.replace("_", "-")


def tone_advice(colour: str, page: Page) -> Advice:
    """Say in words what this colour of a status becomes on light or dark pages. Ratios are cut, never rounded up."""
    tone, scheme = tone_of(colour, page), "dark" if page.is_dark else "light"
    if tone.shape == colour:
        return Advice(
            True, colour, f"Shown as it is on {scheme} pages ({_ratio(contrast(colour, page.surface))} to 1)."
        )
    was, reached = _ratio(contrast(colour, page.surface)), _ratio(contrast(tone.shape, page.surface))
    return Advice(
        False,
        tone.shape,
        f"On {scheme} pages {colour} hardly shows ({was} to 1, {SHAPE:g} needed), so it is {tone.shape} "
        f"({reached} to 1).",
    )


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def oklch(colour: str) -> Oklch:
    """A #rrggbb colour in OKLCH."""
    red, green, blue = _linear(colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    middle = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short
    return Oklch(lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360)


def rgb(colour: Oklch) -> str:
    """An OKLCH colour as #rrggbb; what no screen can show loses chroma until one can."""
    chroma = colour.chroma
    while (channels := _channels(colour._replace(chroma=chroma))) is None:
        chroma = max(0.0, chroma - 0.002)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)


def _sheet(colour: str, statuses: Mapping[str, str], page: Page) -> str:
    return f":root{{{_properties(accent_of(colour, page))}}}{_tones(statuses, page)}"


def _tones(statuses: Mapping[str, str], page: Page, within: str = "") -> str:
    tones = ((value, tone_of(own, page)) for value, own in sorted(statuses.items()))
    return "".join(
        f"{within}.{status_class(value)}{{--tone:{tone.shape};--tone-text:{tone.text};--tone-soft:{tone.soft}}}"
        for value, tone in tones
    )


def _properties(accent: Accent) -> str:
    return f"--brand:{accent.fill};--brand-ink:{accent.ink};--brand-text:{accent.text};--brand-soft:{accent.soft}"


def _moved(colour: str, page: Page, grounds: list[str], least: float) -> str:
    """The colour, made darker (on dark pages lighter) in small steps until it stands out from every ground."""
    base, found = oklch(colour), colour
    lightness = base.lightness
    while any(contrast(found, ground) < least for ground in grounds):
        lightness += 0.005 if page.is_dark else -0.005
        found = rgb(base._replace(lightness=min(1.0, max(0.0, lightness))))
    return found


def _ratio(contrast: float) -> str:
    return f"{math.floor(contrast * 10) / 10:g}"


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(colour: str) -> tuple[float, float, float]:
    red, green, blue = (_unfolded(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return red, green, blue


def _unfolded(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else math.pow((channel + 0.055) / 1.055, 2.4)


def _folded(channel: float) -> float:
    return channel * 12.92 if channel <= 0.0031308 else 1.055 * math.pow(channel, 1 / 2.4) - 0.055


def _channels(colour: Oklch) -> tuple[float, float, float] | None:
    """Red, green and blue from 0 to 1, or None outside what a screen can show."""
    a = colour.chroma * math.cos(math.radians(colour.hue))
    b = colour.chroma * math.sin(math.radians(colour.hue))
    long = (colour.lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (colour.lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (colour.lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    if colour.chroma > 0 and any(not -1e-4 <= channel <= 1 + 1e-4 for channel in linear):
        return None
    red, green, blue = (_folded(min(1.0, max(0.0, channel))) for channel in linear)
    return red, green, blue
