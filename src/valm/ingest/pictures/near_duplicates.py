"""What tells near-duplicates: a 64-bit difference hash and the mean colour.

The hash alone takes a red circle for a blue one, and colour is what this study asks about.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

COLUMNS, ROWS = 9, 8


def difference_hash(image: Image.Image) -> int:
    """Whether brightness grows from each cell of a 9 x 8 grid to its right neighbour, as 64 bits."""
    grid = np.asarray(
        image.convert("L").resize((COLUMNS, ROWS), Image.Resampling.BOX), dtype=np.int16
    )
    bits = (grid[:, 1:] > grid[:, :-1]).flatten()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def mean_colour(image: Image.Image) -> tuple[int, int, int]:
    """Mean red, green and blue, 0..255, of what is drawn: transparent pixels do not count."""
    pixels = np.asarray(image.convert("RGBA"), dtype=np.float64).reshape(-1, 4)
    red, green, blue = np.average(pixels[:, :3], axis=0, weights=pixels[:, 3]).round()
    return int(red), int(green), int(blue)
