"""Colours of models: each its own, the same in every figure of the same models."""

from __future__ import annotations

import re
from itertools import product

from valm.report.figures.style import MODEL_COLOURS, SPARE_COLOURS, model_colour, model_colours
from valm.report.pages.style_sheet import STYLE_SHEET

SWEEP = ("valm_k1", "valm_k2", "valm", "valm_k8")


def test_models_of_a_sweep_and_their_controls_have_a_colour_each() -> None:
    rivals = [("gpt2_star", "own"), *product(SWEEP, ("own", "permuted"))]
    colours = model_colours(rivals)
    assert list(colours) == rivals
    assert len(set(colours.values())) == len(rivals)
    own = [(model, "own") for model in reversed(SWEEP)]
    assert model_colours(own).items() <= colours.items()  # in another figure, in another order


def test_what_has_a_colour_keeps_it_and_no_spare_one_is_like_it() -> None:
    assert model_colour("valm", "permuted") == MODEL_COLOURS["valm:permuted"]
    every = [*MODEL_COLOURS.values(), *SPARE_COLOURS]
    assert len(set(every)) == len(every)


def test_more_models_than_colours_still_have_one() -> None:
    many = [(f"valm_{number:02}", "own") for number in range(len(SPARE_COLOURS) + 1)]
    assert set(model_colours(many).values()) == set(SPARE_COLOURS)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_spare_colours_are_seen_on_the_light_and_on_the_dark_page() -> None:
    papers = re.findall(r"--paper: (#\w{6})", STYLE_SHEET)
    assert len(papers) == 2
    for colour, paper in product(SPARE_COLOURS, papers):
        dark, light = sorted((luminance(colour), luminance(paper)))
        assert (light + 0.05) / (dark + 0.05) >= 3, (colour, paper)
