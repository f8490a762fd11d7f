"""The study's own probes: everyday facts of colour, shape and size, written by the project.

Ingest and evaluation share them: no colour note may speak of a probe's object, every candidate
answer must be one token of the vocabulary, and the tasks ask the questions.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

COLOURS = (
    "black", "white", "red", "green", "yellow", "blue", "brown", "orange", "pink", "purple", "grey",
)  # fmt: skip
SHAPES = ("round", "square", "rectangular", "triangular", "oval", "cylindrical")
YES_NO = ("yes", "no")
SENTIMENTS = ("negative", "positive")
TOPICS = ("business", "entertainment", "politics", "sport", "technology")

Half = Literal["dev", "test"]


@dataclass(frozen=True)
class Thing:
    """An everyday object as a prompt names it; the article may be empty ("snow")."""

    name: str
    article: str

    @property
    def phrase(self) -> str:
        """Article and name: "a banana", "snow"."""
        return f"{self.article} {self.name}".strip()


@dataclass(frozen=True)
class ColouredThing:
    """An object, its one typical colour, and the half of the probe that it belongs to.

    Designs are compared on the dev half; the test half is reported once they are frozen. No object
    of the test half is among MemoryColor's or ColorTerms'; 92 of the dev half are.
    """

    thing: Thing
    colour: str
    half: Half


@dataclass(frozen=True)
class ShapedThing:
    """An object and its typical shape."""

    thing: Thing
    shape: str


@dataclass(frozen=True)
class SizePair:
    """Two objects of which one is typically much smaller, in height and in volume."""

    smaller: Thing
    larger: Thing


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def coloured_things() -> tuple[ColouredThing, ...]:
    """The colour probe, 11 colours, each split evenly into a dev and a test half."""
    return tuple(
        ColouredThing(
            Thing(row["object"], row["article"]),
            row["colour"],
            "dev" if row["half"] == "dev" else "test",
        )
        for row in _rows("colour.csv")
    )


@cache
def shaped_things() -> tuple[ShapedThing, ...]:
    """The shape probe."""
    return tuple(
        ShapedThing(Thing(row["object"], row["article"]), row["shape"])
        for row in _rows("shape.csv")
    )


@cache
def size_pairs() -> tuple[SizePair, ...]:
    """The size probe; a task asks each pair in both orders."""
    return tuple(
        SizePair(
            Thing(row["smaller"], row["smaller_article"]),
            Thing(row["larger"], row["larger_article"]),
        )
        for row in _rows("size.csv")
    )


def _other_number(word: str) -> set[str]:
    """Regular plurals and singulars of a word; forms that do not exist do no harm."""
    forms = {word + "s", word + "es"}
    if word.endswith("y"):
        forms.add(word[:-1] + "ies")
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        forms.add(word[:-1])
    if word.endswith("ies"):
        forms.add(word[:-3] + "y")
    return forms


@cache
def held_out_words() -> frozenset[str]:
    """Every content word of an object of any colour or shape probe, in singular and plural.

    Covers this package's probes and all items of MemoryColor and ColorTerms. A picture's name that
    holds one of these words must not become a colour note: the model would be told the answer.
    """
    text = resources.files(__package__).joinpath("held_out_words.txt").read_text(encoding="utf-8")
    words = set(text.split())
    return frozenset(words.union(*(_other_number(word) for word in words)))


def answer_words() -> tuple[str, ...]:
    """All candidate answers of the study's tasks; a vocabulary holds each as one token."""
    return tuple(dict.fromkeys((*COLOURS, *SHAPES, *YES_NO, *SENTIMENTS, *TOPICS)))
