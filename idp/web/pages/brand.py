"""How an operator's pages look: a name, a logo, one colour, and where they say what else they have to say."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from idp.base.colour import STEP, Oklch, contrast
from idp.base.digest import fingerprint
from idp.base.picture import Picture

LEGIBLE = 4.5
"""What text needs at least (WCAG 2.2 §1.4.3)."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """The colours of style.css that an accent meets, in light or in dark."""

    ground: str
    sheet: str
    well: str
    on_accent: str
    slip_lightness: float
    least_lightness: float
    direction: int
    """-1: an accent becomes darker until it can be read, 1: lighter."""


LIGHT = Scheme("#eef2f1", "#ffffff", "#f4f7f6", "#ffffff", 0.939, 0.0, -1)
DARK = Scheme("#0c1413", "#141e1c", "#1a2523", "#06130f", 0.27, 0.6, 1)


@dataclass(frozen=True, slots=True)
class Palette:
    """What one scheme makes of an accent, each ``#rrggbb``."""

    accent: str
    slip: str
    on_accent: str


def palette(accent: str, scheme: Scheme) -> Palette:
    """The nearest shade of the accent ``#rrggbb`` that can be read wherever it is used; raises ValueError."""
    asked = Oklch.of(accent)
    slip = Oklch(scheme.slip_lightness, min(asked.chroma / 4, 0.02), asked.hue).hex()
    behind = (scheme.ground, scheme.sheet, scheme.well, slip, scheme.on_accent)
    for shade in _shades(accent, asked, scheme):
        if all(contrast(shade, other) >= LEGIBLE for other in behind):
            return Palette(shade, slip, scheme.on_accent)
    raise AssertionError("black and white can be read")  # pragma: no cover


def _shades(accent: str, asked: Oklch, scheme: Scheme) -> Iterator[str]:
    """The accent itself where it may be so, and then ever darker or lighter ones of its hue."""
    lightness = asked.lightness
    if lightness >= scheme.least_lightness:
        yield accent
    else:
        lightness = scheme.least_lightness
    while 0 < lightness < 1:
        yield Oklch(lightness, asked.chroma, asked.hue).hex()
        lightness += scheme.direction * STEP
    yield "#000000" if scheme.direction < 0 else "#ffffff"


@cache
def stylesheet(accent: str) -> str:
    """What ``/branding.css`` says: the accent and its slip for both schemes."""
    light, dark = palette(accent, LIGHT), palette(accent, DARK)
    return (
        f":root {{ --accent: light-dark({light.accent}, {dark.accent}); --slip: light-dark({light.slip}, {dark.slip});"
        f" --on-accent: light-dark({light.on_accent}, {dark.on_accent}) }}\n"
    )


def moved(accent: str) -> str | None:
    """What to tell the operator whose colour could not be read on light; None where it is shown as it is."""
    shown = palette(accent, LIGHT).accent
    return None if shown == accent else f"accent {accent} shown as {shown} on light for contrast"


@dataclass(frozen=True, slots=True)
class Brand:
    """What an operator has set of their own; ``logo_has_name`` says that the name needs no repeating beside it."""

    accent: str | None = None
    logo: Picture | None = None
    logo_has_name: bool = False
    help_url: str | None = None
    privacy_url: str | None = None

    @property
    def css(self) -> str | None:
        """The style sheet of the accent."""
        return stylesheet(self.accent) if self.accent else None

    @property
    def css_url(self) -> str | None:
        """Its address, which changes with it."""
        return f"/branding.css?v={fingerprint(css.encode())}" if (css := self.css) else None

    @property
    def logo_url(self) -> str | None:
        """The logo's address, which changes with it."""
        return f"/branding/logo?v={fingerprint(self.logo.content)}" if self.logo else None


PLAIN = Brand()
"""Nothing of their own."""
