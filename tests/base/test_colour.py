"""Colours: an accent of any kind can be read wherever a page uses it, and keeps its hue."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.base.colour import Oklch, contrast
from idp.web.pages.brand import DARK, LIGHT, Scheme, moved, palette

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
INK = {LIGHT: ("#10211e", "#4b5d59"), DARK: ("#e9f0ee", "#a3b4af")}


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@given(accent=COLOURS)
def test_any_accent_can_be_read_on_everything_behind_it(scheme: Scheme, accent: str) -> None:
    made = palette(accent, scheme)
    for other in (scheme.ground, scheme.sheet, scheme.well, made.slip, made.on_accent):
        assert contrast(made.accent, other) >= 4.5, (made, other)
    for ink in INK[scheme]:
        assert contrast(ink, made.slip) >= 4.5, (made, ink)


@given(accent=COLOURS)
def test_an_accent_moves_in_lightness_and_keeps_its_hue(accent: str) -> None:
    asked, shown = Oklch.of(accent), Oklch.of(palette(accent, LIGHT).accent)
    if asked.chroma > 0.08 and shown.chroma > 0.08:
        assert math.cos(asked.hue - shown.hue) > 0.99
    assert shown.lightness <= asked.lightness + 0.01, (asked, shown)


@given(colour=COLOURS)
def test_a_colour_survives_the_way_there_and_back(colour: str) -> None:
    assert contrast(Oklch.of(colour).hex(), colour) < 1.02


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


def test_the_start_says_which_accent_could_not_be_shown_as_it_was_set() -> None:
    assert moved("#e8b44c") == "accent #e8b44c shown as #876100 on light for contrast"
    assert moved("#0a5c4c") is None
