"""Colours that can be read: OKLCH as in CSS Color 4 §9, contrast as in WCAG 2.2."""

import math
import re
from dataclasses import dataclass

STEP = 0.01
"""How finely lightness is searched; no eye sees so small a difference."""
_HEX = re.compile(r"#[0-9a-f]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Oklch:
    """A colour by how it is seen: lightness 0 to 1, chroma from 0, hue in radians."""

    lightness: float
    chroma: float
    hue: float

    @classmethod
    def of(cls, colour: str) -> "Oklch":
        """The colour ``#rrggbb``; raises ValueError for anything else."""
        red, green, blue = map(_linear, _channels(colour))
        long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
        medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
        short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
        a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
        b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
        lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
        return cls(lightness, math.hypot(a, b), math.atan2(b, a))

    def hex(self) -> str:
        """``#rrggbb``, with as much of the chroma as a screen can show at this lightness and hue."""
        if _fits(channels := self._linear_channels(self.chroma)):
            return _written(channels)
        # The gamut is clipped along the chroma alone, so that the hue stays what the operator chose.
        shown, too_much = 0.0, self.chroma
        for _ in range(24):
            middle = (shown + too_much) / 2
            shown, too_much = (middle, too_much) if _fits(self._linear_channels(middle)) else (shown, middle)
        return _written(self._linear_channels(shown))

    def _linear_channels(self, chroma: float) -> tuple[float, float, float]:
        a, b = chroma * math.cos(self.hue), chroma * math.sin(self.hue)
        long = (self.lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        medium = (self.lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (self.lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
        return (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )


def contrast(one: str, other: str) -> float:
    """The contrast of two colours ``#rrggbb``, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def is_colour(text: str) -> bool:
    """Whether the text is a colour of the form ``#rrggbb``, in lower case."""
    return _HEX.fullmatch(text) is not None


def _channels(colour: str) -> tuple[float, ...]:
    if not is_colour(colour):
        raise ValueError("give a colour like #0a5c4c")
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _encoded(channel: float) -> float:
    channel = min(1.0, max(0.0, channel))
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _luminance(colour: str) -> float:
    red, green, blue = map(_linear, _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _fits(channels: tuple[float, float, float]) -> bool:
    return all(-0.0005 <= channel <= 1.0005 for channel in channels)


def _written(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(_encoded(channel) * 255):02x}" for channel in channels)
