"""The colours of a picture's foreground, as shares of the eleven basic colour words.

The words are the basic colour terms of English (Berlin and Kay, 1969). Each pixel is named by its
lightness, chroma and hue in CIE Lab (D65): black, grey and white by lightness where there is little
chroma, the other words by hue, with brown and pink as the dark and the light parts of their hues.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from valm.ingest.probes import COLOURS

SAMPLED_SIDE_PIXELS = 64  # the shares hardly change above this, the time does
OPAQUE_ALPHA = 128
NEARLY_WHITE = 244  # a frame of this value or more is taken as background

SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
WHITE_POINT = np.array([0.95047, 1.0, 1.08883])

# (word, hue from, hue to, lightness from, to, chroma from, to); later rows win over earlier ones.
# Hues in degrees; a range that ends before it starts goes through zero.
CHROMATIC = (
    ("red", 345, 48, 0, 101, 0, 999),
    ("pink", 345, 25, 62, 101, 0, 999),
    ("pink", 345, 10, 50, 62, 0, 999),
    ("pink", 10, 22, 55, 62, 0, 70),
    ("pink", 22, 48, 50, 62, 0, 45),
    ("pink", 25, 48, 62, 101, 0, 50),
    ("orange", 36, 48, 62, 101, 50, 999),
    ("brown", 0, 48, 0, 50, 0, 40),
    ("brown", 30, 48, 0, 62, 0, 55),
    ("orange", 48, 76, 0, 101, 0, 999),
    ("brown", 48, 82, 0, 58, 0, 999),
    ("brown", 48, 76, 58, 75, 0, 38),
    ("brown", 55, 76, 58, 78, 0, 56),
    ("white", 48, 76, 80, 101, 0, 30),
    ("yellow", 76, 106, 58, 101, 0, 999),
    ("yellow", 82, 106, 50, 58, 0, 999),
    ("brown", 82, 106, 0, 50, 0, 999),
    ("white", 76, 106, 85, 101, 0, 22),
    ("green", 106, 200, 0, 101, 0, 999),
    ("blue", 200, 298, 0, 101, 0, 999),
    ("purple", 298, 345, 0, 101, 0, 999),
    ("blue", 298, 307, 0, 101, 95, 999),
    ("pink", 325, 345, 58, 101, 0, 999),
)
DARKEST_COLOUR = 14  # below this lightness every hue is black
BLACK_BELOW, WHITE_ABOVE = 28, 86
NEUTRAL_CHROMA, NEUTRAL_CHROMA_IN_THE_DARK, DARK_BELOW = 12, 16, 30
# Artists shade black, grey and white things towards violet; nobody calls that purple.
SHADING_CHROMA, SHADING_FROM, SHADING_TO = 24, 290, 322


def colour_histogram(image: Image.Image) -> NDArray[np.float64]:
    """Shares of the foreground's pixels that are black, white, red, ...

    Transparent pixels do not count, nor does a white frame; a picture that is nothing else is white.

    Returns:
        [11] shares in the order of ``COLOURS``, summing to 1.
    """
    small = image.convert("RGBA")
    small.thumbnail((SAMPLED_SIDE_PIXELS, SAMPLED_SIDE_PIXELS))
    pixels = np.asarray(small)
    foreground = (pixels[..., 3] >= OPAQUE_ALPHA) & ~_white_frame(pixels)
    rgb = pixels[..., :3][foreground]
    if len(rgb) == 0:
        rgb = np.full((1, 3), 255, dtype=np.uint8)
    counts = np.bincount(colour_words(rgb), minlength=len(COLOURS))
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def colour_words(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The colour word of each sRGB pixel, as an index into ``COLOURS``: [n, 3] -> [n]."""
    lightness, chroma, hue = _lightness_chroma_hue(rgb)
    words = np.full(len(rgb), COLOURS.index("grey"))
    neutral = chroma < np.where(lightness < DARK_BELOW, NEUTRAL_CHROMA_IN_THE_DARK, NEUTRAL_CHROMA)
    neutral |= (chroma < SHADING_CHROMA) & (hue >= SHADING_FROM) & (hue < SHADING_TO)
    words[neutral & (lightness < BLACK_BELOW)] = COLOURS.index("black")
    words[neutral & (lightness >= WHITE_ABOVE)] = COLOURS.index("white")
    for word, hue_from, hue_to, dark, light, dull, vivid in CHROMATIC:
        through_zero = hue_from > hue_to
        after, before = hue >= hue_from, hue < hue_to
        in_hue = (after | before) if through_zero else (after & before)
        in_region = in_hue & (lightness >= dark) & (lightness < light)
        in_region &= (chroma >= dull) & (chroma < vivid)
        words[~neutral & in_region] = COLOURS.index(word)
    words[lightness < DARKEST_COLOUR] = COLOURS.index("black")
    return words


def _white_frame(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """True for white pixels, if all four corners are white: a cut-out on a white page."""
    white = np.all(pixels[..., :3] >= NEARLY_WHITE, axis=-1) & (pixels[..., 3] >= OPAQUE_ALPHA)
    framed = bool(white[0, 0] and white[0, -1] and white[-1, 0] and white[-1, -1])
    background: NDArray[np.bool_] = white & framed
    return background


def _lightness_chroma_hue(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
    """CIE LCh of sRGB pixels: lightness 0..100, chroma, hue in degrees."""
    share = rgb / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ SRGB_TO_XYZ.T / WHITE_POINT
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    a, b = 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    return 116 * f[:, 1] - 16, np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
