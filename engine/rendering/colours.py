"""One colour a track, fixed by its id.

Knows ids and colours. Knows nothing of images; see overlay.py for how colours are laid on one.
Colours are chosen in OKLCH (lightness, chroma, hue), where equal steps look equally different. Hues advance by the
golden angle, so that any run of ids is spread round the circle; lightness cycles through three levels, so that ids
whose hues come close again still differ.
"""

from functools import lru_cache
from math import cos, radians, sin, sqrt

RGB = tuple[int, int, int]

GOLDEN_ANGLE = 180.0 * (3.0 - sqrt(5.0))
FIRST_HUE = 137.5  # id 0 is green, id 1 blue, id 2 orange
LIGHTNESS = (0.70, 0.62, 0.78)  # of 1: readable on black and on white; of all cycles tried, the farthest neighbours
CHROMA = 0.23
DARK: RGB = (16, 16, 20)
LIGHT: RGB = (245, 245, 248)


@lru_cache(maxsize=4096)
def colour_of(track_id: int) -> RGB:
    """The sRGB colour of a track, each channel 0 to 255; the same for an id in every clip, run and version."""
    hue = (FIRST_HUE + GOLDEN_ANGLE * track_id) % 360.0
    return oklch_to_rgb(LIGHTNESS[track_id % len(LIGHTNESS)], CHROMA, hue)


def tint_of(colour: RGB) -> RGB:
    """The colour halfway to white, for words that must be told apart from a fill of that colour."""
    red, green, blue = ((channel + 255) // 2 for channel in colour)
    return red, green, blue


def oklch_to_rgb(lightness: float, chroma: float, hue: float) -> RGB:
    """sRGB of an OKLCH colour, hue in degrees; the chroma is lowered to the largest that sRGB can show.

    The OKLab matrices are those of B. Ottosson, "A perceptual color space for image processing", 2020.
    """
    low, high = 0.0, chroma
    if _in_gamut(_linear_rgb(lightness, high, hue)):
        low = high
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if _in_gamut(_linear_rgb(lightness, middle, hue)) else (low, middle)
    red, green, blue = (round(255 * _from_linear(min(max(c, 0.0), 1.0))) for c in _linear_rgb(lightness, low, hue))
    return red, green, blue


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _in_gamut(linear: tuple[float, float, float]) -> bool:
    return all(0.0 <= channel <= 1.0 for channel in linear)


def _from_linear(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
