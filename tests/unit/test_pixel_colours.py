"""A drawn patch of a colour is named by its word; background does not count."""

import numpy as np
import pytest
from PIL import Image

from valm.ingest.pictures.pixel_colours import colour_histogram
from valm.ingest.probes import COLOURS

# CSS colours that nobody would name otherwise.
PATCHES = {
    "black": ["#000000", "#101010"],
    "white": ["#ffffff", "#f4f4f0"],
    "red": ["#ff0000", "#c8102e"],
    "green": ["#008000", "#4caf50", "#00ff00"],
    "yellow": ["#ffff00", "#ffd92e"],
    "blue": ["#0000ff", "#1e88e5"],
    "brown": ["#8b4513", "#5d4037"],
    "orange": ["#ff8c00", "#f57c00"],
    "pink": ["#ffc0cb", "#f48fb1"],
    "purple": ["#800080", "#7b1fa2"],
    "grey": ["#808080", "#9e9e9e"],
}


@pytest.mark.parametrize("word, code", [(w, c) for w, codes in PATCHES.items() for c in codes])
def test_a_patch_is_named_by_its_word(word: str, code: str) -> None:
    histogram = colour_histogram(Image.new("RGB", (8, 8), code))
    assert COLOURS[int(histogram.argmax())] == word
    assert histogram.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("background", [(255, 255, 255, 255), (0, 0, 0, 0)])
def test_background_does_not_count(background: tuple[int, int, int, int]) -> None:
    picture = Image.new("RGBA", (60, 60), background)
    picture.paste((220, 20, 30, 255), (20, 20, 40, 30))
    histogram = colour_histogram(picture)
    assert histogram[COLOURS.index("red")] > 0.8


def test_white_inside_a_coloured_picture_counts() -> None:
    picture = Image.new("RGB", (40, 40), "#1e88e5")
    picture.paste("white", (10, 10, 30, 30))
    assert colour_histogram(picture)[COLOURS.index("white")] == pytest.approx(0.25, abs=0.05)


def test_an_empty_picture_is_white_and_shares_are_finite() -> None:
    for picture in (Image.new("RGBA", (5, 5)), Image.new("RGB", (5, 5), "white")):
        histogram = colour_histogram(picture)
        assert histogram[COLOURS.index("white")] == 1.0
        assert np.isfinite(histogram).all()
