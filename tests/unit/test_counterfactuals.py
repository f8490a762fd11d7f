"""Exchanged pictures: what models are handed, and what the figures and their numbers say of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from builders.results import write_results
from builders.trained import random_model
from PIL import Image

from valm.evaluate.answers.answering import Reader
from valm.evaluate.answers.exchanges import PictureValues, exchanges, reader_of
from valm.evaluate.answers.looking import look
from valm.ingest.pictures.hue import hue_turned
from valm.models.trunk import TrunkConfig
from valm.report.chapters import evaluate
from valm.report.exhibits import Figure, Table
from valm.report.figures.counterfactuals import (
    Looking,
    attention_figure,
    counterfactual_figure,
    exchange_label,
    moved_shares,
)
from valm.report.results import Results
from valm.retrieve.showable import Showable

TRUNK = TrunkConfig(layers=3, width=16, heads=2, context_tokens=8)
TEXT, WIDTH, PICTURES = [3, 1, 4, 1, 5], 6, 12
GENERATOR = np.random.default_rng(3)
IDS = GENERATOR.integers(0, PICTURES, (len(TEXT), 3)).astype(np.int32)
IDS[1, 2] = -1
STATES = GENERATOR.standard_normal((len(TEXT), WIDTH)).astype(np.float16)
STORED = GENERATOR.standard_normal((PICTURES, WIDTH)).astype(np.float16)
KNOWN = np.unique(IDS[IDS >= 0]).astype(np.int64)
TURNED = {120: STORED[KNOWN].astype(np.float32) + 1}
VALUES = PictureValues(STORED, TURNED, KNOWN)
ALL = Showable(PICTURES)


def test_hues_turn_and_nothing_else_does() -> None:
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    for before, after in (("red", "green"), ("green", "blue"), ("blue", "red")):
        turned = hue_turned(Image.new("RGB", (2, 2), colours[before]), 120).getpixel((0, 0))
        assert (
            np.abs(np.subtract(turned, colours[after])).max() <= 4
        )  # Pillow's circle has 256 hues
    grey = Image.new("RGBA", (2, 2), (90, 90, 90, 17))
    assert hue_turned(grey, 240).getpixel((1, 1)) == (90, 90, 90, 17)
    brown = hue_turned(Image.new("RGB", (1, 1), (200, 120, 40)), 240).getpixel((0, 0))
    assert isinstance(brown, tuple) and (max(brown), min(brown)) == (200, 40)


@pytest.mark.parametrize("name", ("own", "permuted", "none"))
def test_an_exchange_hands_over_what_the_control_of_evaluation_does(name: str) -> None:
    model = random_model(TRUNK, "joint", {}, 9, WIDTH)
    (row,) = [row for row in exchanges(IDS, STATES, VALUES, [], ALL, 7) if row.name == name]
    control = "retrieved" if name == "own" else name
    expected = look(Reader.shown(model, control, IDS, STATES, STORED, ALL, 7), TEXT)
    found = look(reader_of(model, row, None), TEXT)
    np.testing.assert_allclose(found.next_word, expected.next_word, rtol=1e-5)


def test_recoloured_and_other_pictures_take_every_place() -> None:
    rows = {row.name: row for row in exchanges(IDS, STATES, VALUES, [2, 5], ALL, 7)}
    assert list(rows) == ["own", "recoloured", "instead", "permuted", "none"]
    there = IDS >= 0
    own, turned = (rows[name].given.values for name in ("own", "recoloured"))
    assert own is not None and turned is not None
    np.testing.assert_allclose(turned[there], own[there] + 1, atol=2e-3)
    np.testing.assert_array_equal(rows["recoloured"].given.mask, there)
    instead = rows["instead"].given
    assert rows["instead"].shown == [2, 5, -1]
    np.testing.assert_array_equal(instead.mask, [[True, True, False]] * len(TEXT))
    assert instead.values is not None
    np.testing.assert_array_equal(instead.values[:, :2], np.tile(STORED[[2, 5]], (len(TEXT), 1, 1)))


def test_no_control_shows_a_picture_that_was_taken_down() -> None:
    (before,) = [
        row for row in exchanges(IDS, STATES, VALUES, [], ALL, 7) if row.name == "permuted"
    ]
    unseen = np.setdiff1d(np.arange(PICTURES), IDS)
    gone = np.intersect1d(before.shown, unseen)[:1]
    assert len(gone)
    rows = exchanges(IDS, STATES, VALUES, [], Showable(PICTURES, gone), 7)
    (after,) = [row for row in rows if row.name == "permuted"]
    assert gone[0] not in after.shown
    assert np.array_equal(after.given.mask, before.given.mask)


def test_a_model_gets_no_more_pictures_than_it_was_trained_with() -> None:
    model = random_model(TRUNK, "joint", {}, 9, WIDTH)
    own = next(iter(exchanges(IDS, STATES, VALUES, [], ALL, 7)))
    sight = look(reader_of(model, own, 2), TEXT)
    assert sight.pictures is not None and sight.pictures.shape == (len(TEXT), 2)
    fewer = look(Reader.shown(model, "retrieved", IDS[:, :2], STATES, STORED, ALL, 7), TEXT)
    np.testing.assert_allclose(sight.next_word, fewer.next_word, rtol=1e-5)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("study") / "results")


def test_what_moved_is_the_total_variation_to_the_models_own_pictures(results: Path) -> None:
    seen = Results(results).json("evaluate", "sights.json")
    frame = moved_shares(seen["prompts"], seen["words"])
    own, turned = (
        frame.filter(exchange=label).row(0, named=True) for label in ("retrieved", "hue +120°")
    )
    assert own["moved"] == 0
    assert (own["likeliest"], own["share"]) == ("yellow", pytest.approx(0.7))
    assert turned["share"] == pytest.approx(0.1)
    assert turned["moved"] == pytest.approx(0.6)
    assert turned["green"] == pytest.approx(0.7)


def test_the_figures_show_their_pictures_and_are_the_same_bytes_again(results: Path) -> None:
    for draw in (evaluate.counterfactual, evaluate.attention):
        figure = draw(results)
        assert isinstance(figure, Figure)
        assert draw(results) == figure
        addresses = re.findall(r'href="([^#"][^"]*)"', figure.svg)
        assert addresses and all(a.startswith("data:image/png;base64,") for a in addresses)
    numbers = evaluate.counterfactual_numbers(results)
    assert isinstance(numbers, Table) and "hue +120°" in numbers.html


def test_labels_of_exchanges() -> None:
    turned = {"name": "recoloured", "turn": 240}
    assert exchange_label(turned, "lime") == "hue +240°"
    assert exchange_label({"name": "instead", "turn": 0}, "lime") == "lime"
    assert exchange_label({"name": "zero", "turn": 0}, "lime") == "zero"


def test_a_study_without_looking_models_says_so(tmp_path: Path) -> None:
    for draw in (evaluate.counterfactual, evaluate.attention, evaluate.counterfactual_numbers):
        assert "This study has no" in draw(tmp_path)._repr_html_()


def test_one_model_is_drawn_with_as_many_pictures_as_it_reads_and_named(results: Path) -> None:
    """A study of several K: the findings' model, not whichever was asked first."""
    seen = Results(results).json("evaluate", "sights.json")
    (prompt,) = seen["prompts"]
    first = {"model": "valm_k1", "seed": 1}
    prompt["attention"].insert(0, first | {"text": [0.2] * 3, "pictures": [0.4]})
    for exchange in prompt["exchanges"]:
        exchange["answers"].insert(0, first | {"shares": [0.0, 0.0, 1.0]})
    file = results / "evaluate/sights.json"
    before = file.read_bytes()
    file.write_text(json.dumps(seen), encoding="utf-8")
    try:
        figures = [evaluate.counterfactual(results), evaluate.attention(results)]
    finally:
        file.write_bytes(before)
    assert figures == [evaluate.counterfactual(results), evaluate.attention(results)]
    pictures = {number: Image.new("RGB", (4, 4), (9, 9, number)) for number in range(4)}
    for looking, attended, rows in ((Looking("valm_k1", 1), 1, 3), (Looking("valm"), 3, 7)):
        told = attention_figure([prompt], pictures, looking)
        moved = counterfactual_figure([prompt], seen["words"], pictures, looking)
        assert (told.svg.count("<image"), moved.svg.count("<image")) == (attended, rows)
        label = "VaLM, K = 1" if looking.model == "valm_k1" else "VaLM"
        assert f"What {label} takes" in moved.caption and f"layer of {label} that" in told.caption
