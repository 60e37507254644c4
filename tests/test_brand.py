"""Whatever colour a brand has, its buttons, links and marks can be read on light and dark pages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.brand import (
    DARK,
    LIGHT,
    SHAPE,
    TEXT,
    Oklch,
    Page,
    accent_of,
    advice,
    contrast,
    oklch,
    rgb,
    status_class,
    style_sheet,
    tone_advice,
    tone_of,
    white_carrier,
)
from tests.conftest import REPOSITORY

COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)
TOKENS = (REPOSITORY / "portal/static/css/10-tokens.css").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [LIGHT, DARK], ids=["light", "dark"])
@given(colour=COLOURS)
def test_every_accent_can_be_read(page: Page, colour: str) -> None:
    accent = accent_of(colour, page)
    assert contrast(accent.fill, page.surface) >= SHAPE
    assert contrast(accent.ink, accent.fill) >= TEXT
    assert contrast(accent.text, page.surface) >= TEXT
    assert contrast(accent.text, accent.soft) >= TEXT


def test_a_colour_that_can_be_read_stays_what_it_is() -> None:
    accent = accent_of("#2457d6", LIGHT)
    assert (accent.fill, accent.ink, accent.text) == ("#2457d6", "#ffffff", "#2457d6")


def test_a_pale_colour_keeps_its_hue_where_it_must_grow_darker() -> None:
    moved = oklch(accent_of("#ffe600", LIGHT).text)
    assert moved.lightness < oklch("#ffe600").lightness
    assert abs(moved.hue - oklch("#ffe600").hue) < 8


@given(colour=COLOURS)
def test_oklch_and_back_is_the_same_colour(colour: str) -> None:
    back = rgb(oklch(colour))
    assert all(abs(int(colour[at : at + 2], 16) - int(back[at : at + 2], 16)) <= 1 for at in (1, 3, 5))


def test_known_values() -> None:
    """White on black is 21:1; the OKLCH of pure red is that of the CSS specification."""
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert oklch("#ff0000") == pytest.approx((0.628, 0.2577, 29.23), rel=1e-3)


def test_a_sheet_holds_both_schemes_and_nothing_else() -> None:
    sheet = style_sheet("#0e7c66")
    assert re.fullmatch(r":root\{[^{}]+\}\n@media \(prefers-color-scheme:dark\)\{:root\{[^{}]+\}\}\n", sheet)
    assert set(re.findall(r"--[\w-]+", sheet)) == {"--brand", "--brand-ink", "--brand-text", "--brand-soft"}


def tokens(scheme: str) -> dict[str, str]:
    """The colour tokens of one scheme as #rrggbb."""
    light, dark = TOKENS.split("@media (prefers-color-scheme: dark)")
    found = re.findall(r"--([\w-]+): oklch\(([\d.]+) ([\d.]+) ([\d.]+)\);", light if scheme == "light" else dark)
    return {name: rgb(Oklch(*map(float, numbers))) for name, *numbers in found}


TONES = ["good", "planned", "warn", "poor", "bad"]
TEXT_PAIRS = [
    *[("ink", ground) for ground in ["canvas", "surface", "well", *[f"{tone}-soft" for tone in TONES]]],
    *[("quiet", ground) for ground in ["canvas", "surface", "well", *[f"{tone}-soft" for tone in TONES]]],
    *[(f"{tone}-text", ground) for tone in TONES for ground in ["canvas", "surface", f"{tone}-soft"]],
    ("canvas", "ink"),
]
SHAPE_PAIRS = [
    *[(tone, ground) for tone in [*TONES, "neutral"] for ground in ["canvas", "surface", "well"]],
    *[(tone, f"{tone}-soft") for tone in TONES],
    *[("glyph", tone) for tone in TONES],
    *[("edge", ground) for ground in ["canvas", "surface"]],
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_pair_of_tokens_that_meets_can_be_told_apart(scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the shapes and edges that carry meaning."""
    colours = tokens(scheme)
    measured = {
        (pair, least): contrast(colours[pair[0]], colours[pair[1]])
        for pairs, least in ((TEXT_PAIRS, TEXT), (SHAPE_PAIRS, SHAPE))
        for pair in pairs
    }
    assert {pair: round(ratio, 2) for (pair, least), ratio in measured.items() if ratio < least} == {}


@pytest.mark.parametrize(("scheme", "page"), [("light", LIGHT), ("dark", DARK)])
def test_brands_are_measured_against_the_page_there_is(scheme: str, page: Page) -> None:
    """The ground brands are measured against is the one with the least contrast of all that links stand on."""
    colours = tokens(scheme)
    assert page.surface == colours["well"]
    extreme = max if page.is_dark else min
    grounds = [colours[name] for name in ("canvas", "surface", "well")]
    assert extreme(grounds, key=lambda ground: contrast(ground, "#000000")) == page.surface


@given(colour=COLOURS)
def test_buttons_on_light_pages_carry_white_words(colour: str) -> None:
    accent = accent_of(colour, LIGHT)
    assert accent.ink == "#ffffff"
    assert accent.fill == white_carrier(colour)
    assert (accent.fill == colour) is (contrast("#ffffff", colour) >= TEXT)


@pytest.mark.parametrize("page", [LIGHT, DARK], ids=["light", "dark"])
@given(colour=COLOURS)
def test_the_advice_names_the_colour_that_is_used_and_never_flatters(page: Page, colour: str) -> None:
    said = advice(colour, page)
    assert said.fill == accent_of(colour, page).fill
    assert colour in said.sentence
    assert said.is_kept is (said.fill == colour)
    assert said.fill in said.sentence
    ratios = [float(ratio) for ratio in re.findall(r"([\d.]+) to 1", said.sentence)]
    least = SHAPE if page.is_dark else TEXT
    assert not said.is_kept or all(ratio >= least for ratio in ratios)
    assert said.is_kept or ratios[0] < least <= ratios[1]


def test_the_nearest_that_works_is_no_darker_than_it_must_be() -> None:
    assert contrast("#ffffff", white_carrier("#ffe600")) == pytest.approx(TEXT, abs=0.15)


@pytest.mark.parametrize("page", [LIGHT, DARK], ids=["light", "dark"])
@given(colour=COLOURS)
def test_every_colour_of_a_status_can_be_seen_and_its_words_be_read(page: Page, colour: str) -> None:
    tone = tone_of(colour, page)
    assert contrast(tone.shape, page.surface) >= SHAPE
    assert contrast(tone.text, page.surface) >= TEXT
    assert contrast(tone.text, tone.soft) >= TEXT
    assert tone_advice(colour, page).fill == tone.shape


def test_the_sheet_of_a_brand_colours_the_statuses_that_have_a_colour_of_their_own() -> None:
    sheet = style_sheet("#2457d6", {"system_is_down": "#8b1e5f"})
    light, dark = sheet.split("@media (prefers-color-scheme:dark)")
    for part, page in ((light, LIGHT), (dark, DARK)):
        assert f".{status_class('system_is_down')}{{--tone:{tone_of('#8b1e5f', page).shape};" in part
        assert "operating" not in part


def test_advice_says_what_becomes_of_a_colour_that_hardly_shows() -> None:
    assert tone_advice("#8b1e5f", LIGHT).is_kept
    advised = tone_advice("#fff3b0", LIGHT)
    assert not advised.is_kept
    assert "hardly shows (1 to 1, 3 needed)" in advised.sentence
    assert advised.fill in advised.sentence
