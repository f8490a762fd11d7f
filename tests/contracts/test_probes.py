"""The project's probes are what the study promises, and nothing in training may name their objects."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from valm.ingest.probes import (
    COLOURS,
    SHAPES,
    answer_words,
    coloured_things,
    held_out_words,
    shaped_things,
    size_pairs,
)

FUNCTION_WORDS = {"a", "an", "the", "of", "in"}
OFFICIAL = Path(
    "raw.githubusercontent.com/Victorwz/VaLM/161accd153943a502ec7e3983c448dda07f9d975/data/object_color"
)


def _content_words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", name.lower())) - FUNCTION_WORDS


def _official(file: str, column: str) -> list[str]:
    """Items of an official probe, from the mirror."""
    mirror = os.environ.get("VALM_MIRROR")
    if mirror is None or not (Path(mirror) / OFFICIAL / file).is_file():
        pytest.skip("needs VALM_MIRROR with MemoryColor and ColorTerms")
    with (Path(mirror) / OFFICIAL / file).open(encoding="utf-8") as handle:
        return [row[column].strip() for row in csv.DictReader(handle)]


def test_the_colour_probe_is_large_balanced_and_split_within_each_colour() -> None:
    things = coloured_things()
    assert len(things) >= 220
    assert len({item.thing.name for item in things}) == len(things)
    assert {item.colour for item in things} == set(COLOURS)
    dev = Counter(item.colour for item in things if item.half == "dev")
    test = Counter(item.colour for item in things if item.half == "test")
    assert all(abs(dev[colour] - test[colour]) <= 1 for colour in COLOURS)
    assert max(test.values()) / sum(test.values()) < 0.2


def test_no_object_names_a_candidate_colour_of_the_test_half() -> None:
    for item in coloured_things():
        if item.half == "test":
            assert not any(colour in item.thing.name for colour in COLOURS)


def test_shape_and_size_probes_are_large_and_no_shape_is_the_majority() -> None:
    shapes = Counter(item.shape for item in shaped_things())
    assert set(shapes) == set(SHAPES)
    assert sum(shapes.values()) >= 60
    assert max(shapes.values()) / sum(shapes.values()) < 0.5
    pairs = {(pair.smaller.name, pair.larger.name) for pair in size_pairs()}
    assert len(pairs) == len(size_pairs()) >= 120
    assert not {(larger, smaller) for smaller, larger in pairs} & pairs


def test_articles_agree_with_the_names() -> None:
    things = [item.thing for item in (*coloured_things(), *shaped_things())]
    things += [thing for pair in size_pairs() for thing in (pair.smaller, pair.larger)]
    for thing in things:
        assert thing.article in ("a", "an", "the", "")
        if thing.article in ("a", "an") and thing.name != "unicorn":
            assert (thing.article == "an") == (thing.name[0] in "aeiou"), thing


def test_held_out_words_cover_our_objects_in_singular_and_plural() -> None:
    for item in (*coloured_things(), *shaped_things()):
        assert _content_words(item.thing.name) <= held_out_words(), item
    assert {"bananas", "cherries", "leaves", "clouds", "tomatoes", "mice"} <= held_out_words()


@pytest.mark.parametrize(
    ("file", "column", "items"),
    [("memory_color_data.csv", "Item", 109), ("color-concrete-objects.csv", "object", 52)],
)
def test_held_out_words_cover_the_official_probes(file: str, column: str, items: int) -> None:
    names = _official(file, column)
    assert len(names) == items
    for name in names:
        assert _content_words(name) <= held_out_words(), name


def test_the_test_half_shares_no_object_with_the_official_probes() -> None:
    official = {name.lower() for name in _official("memory_color_data.csv", "Item")}
    official |= {name.lower() for name in _official("color-concrete-objects.csv", "object")}
    ours = {item.thing.name for item in coloured_things() if item.half == "test"}
    assert not ours & official


def test_answer_words_are_single_lower_case_words() -> None:
    words = answer_words()
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z]+", word) for word in words)
