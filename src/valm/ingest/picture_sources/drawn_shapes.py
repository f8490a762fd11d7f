"""Plain shapes in the eleven basic colours, drawn here: a picture source that needs nothing.

For studies that try the workflow and not the science, such as ``config/studies/tiny.yaml``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

from valm.ingest.nouns import with_article
from valm.ingest.picture_sources import PictureSource, RawPicture
from valm.ingest.probes import COLOURS

SIDE_PIXELS = 64
SIZES = {"small": 0.55, "large": 0.95}  # share of the side that a shape spans
BACKGROUND = (0, 0, 0, 0)
PAINTS = dict(
    zip(
        COLOURS,
        ("#101010", "#f8f8f8", "#d01818", "#189028", "#f0d818", "#1848d0", "#70401c", "#f08010",
         "#f890b8", "#8020a0", "#888888"),
        strict=True,
    )
)  # fmt: skip

Points = list[tuple[float, float]]


def _regular(corners: int, turn: float = 0.0, waist: float = 1.0) -> Points:
    """Corners on the unit circle, clockwise from the top; a waist below 1 makes a star."""
    count = corners if waist == 1.0 else 2 * corners
    radii = (waist if waist != 1.0 and corner % 2 else 1.0 for corner in range(count))
    angles = (2 * math.pi * (corner / count + turn) for corner in range(count))
    return [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]


SHAPES: dict[str, Points] = {
    "disc": _regular(48),
    "block": _regular(4, turn=1 / 8),
    "rhombus": _regular(4),
    "wedge": _regular(3),
    "pentagon": _regular(5),
    "hexagon": _regular(6),
    "asterisk": _regular(5, waist=0.45),
    "spark": _regular(4, waist=0.35),
    "plank": [(-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)],
    "post": [(-0.25, -1), (0.25, -1), (0.25, 1), (-0.25, 1)],
}


def drawing(shape: str, colour: str, span: float) -> bytes:
    """One shape in one colour on nothing, as PNG."""
    image = Image.new("RGBA", (SIDE_PIXELS, SIDE_PIXELS), BACKGROUND)
    half = SIDE_PIXELS / 2
    corners = [(half + half * span * x, half + half * span * y) for x, y in SHAPES[shape]]
    ImageDraw.Draw(image).polygon(corners, fill=PAINTS[colour])
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """Every shape in every colour and size, in a fixed order."""
    for shape, colour, size in product(SHAPES, COLOURS, SIZES):
        yield RawPicture(
            data=drawing(shape, colour, SIZES[size]),
            name=shape,
            captions=(f"{with_article(f'{size} {colour} {shape}')}",),
            origin=f"drawn {size} {colour} {shape}",
            keywords=(colour, size),
            licence="CC0-1.0",
        )


PLUGIN = PictureSource(pictures)
