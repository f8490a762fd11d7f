"""Colour notes: sentences that say which colours a picture's pixels have.

A small study's text hardly ever says what colour a thing in a picture is. The notes do, for things
that no probe asks about, so that a model can learn to read colours from pictures and be tested on
other things. All models of a study train on them alike.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valm.core.seeding import numpy_generator
from valm.ingest.nouns import is_plural, plural, with_article
from valm.ingest.pictures.numbering import iterate_transparent_pictures, read_picture_list
from valm.ingest.pictures.pixel_colours import colour_histogram
from valm.ingest.probes import COLOURS, held_out_words
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource

# No frame is a probe's prompt ("the color of ... is") or holds a word of a probe's object ("can"):
# the probes are to be met unseen.
SINGULAR_FRAMES = (
    "the {name} shown here is {colours}.",
    "in the picture, the {name} is {colours}.",
    "this {name} is {colours}.",
    "here is {a_name}. it is {colours}.",
    "the {name} in this image looks {colours}.",
    "everyone sees that the {name} is {colours}.",
    "there is {a_name}, and it is {colours}.",
    "in this drawing, the {name} is mostly {colours}.",
    "the {name} you see is {colours}.",
    "we see {a_name}. its color is {colours}.",
    "as drawn here, the {name} is {colours}.",
    "look at the {name}: it is {colours}.",
    "this picture of {a_name} is {colours}.",
    "{a_name} like this one is {colours}.",
    "the {name} appears in {colours}.",
    "someone drew the {name} in {colours}.",
)
PLURAL_FRAMES = (
    "the {names} shown here are {colours}.",
    "in the picture, the {names} are {colours}.",
    "these {names} are {colours}.",
    "there are {names} here, and they are {colours}.",
)
COLOURS_NAMED = (1, 2)  # "red" and "red and white"

FIRST_COLOUR_SHARE = 0.35  # a picture of many colours gives no note
SECOND_COLOUR_SHARE = 0.2

NAME = re.compile(r"[a-z]+(?:[ -][a-z]+){0,2}")
# Signs and people: their colours are conventions of drawing.
NOT_THINGS = (
    *("arrow", "boy", "button", "face", "girl", "man", "mark", "men", "people", "person", "symbol"),
    *("woman", "women"),
)


class Shown(NamedTuple):
    """A picture's foreground colours: the largest and, if it is large too, the second."""

    first: str
    second: str | None


def is_noted(name: str) -> bool:
    """Whether a picture of this name gives notes: a plain name of a thing that no probe holds."""
    words = re.split("[ -]", name)
    used = {*words, *map(plural, words)}
    return NAME.fullmatch(name) is not None and used.isdisjoint(_words_left_out())


@cache
def _words_left_out() -> frozenset[str]:
    irregular = map(plural, held_out_words())
    return held_out_words().union(irregular, NOT_THINGS, COLOURS)


def shown_colours(shares: NDArray[np.float64]) -> Shown | None:
    """The one or two colours to name, from the shares of the 11 colour words; None if unclear."""
    second, first = np.argsort(shares, kind="stable")[-2:]
    if shares[first] < FIRST_COLOUR_SHARE:
        return None
    return Shown(COLOURS[first], COLOURS[second] if shares[second] >= SECOND_COLOUR_SHARE else None)


def notes_of(
    name: str, pictures: list[Shown], generator: np.random.Generator
) -> Iterator[tuple[str, int]]:
    """The notes of all pictures of one name: each frame once, the pictures taking turns.

    So each name has the same weight, and its colours the weights that its pictures give them.

    Yields:
        A note, and the place of its picture among those of the name.
    """
    frames = PLURAL_FRAMES if is_plural(name.split()[-1]) else (*SINGULAR_FRAMES, *PLURAL_FRAMES)
    many = name if is_plural(name.split()[-1]) else plural(name)
    forms = list(product(frames, COLOURS_NAMED))
    for turn, form in enumerate(generator.permutation(len(forms))):
        frame, colours_named = forms[form]
        place = turn % len(pictures)
        shown = pictures[place]
        if colours_named == 1:
            colours = shown.first
        elif shown.second is not None:
            colours = f"{shown.first} and {shown.second}"
        else:
            continue
        note = frame.format(name=name, a_name=with_article(name), names=many, colours=colours)
        yield note, place


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a note, which came with the picture it tells of; those of one name are a group."""
    table = read_picture_list(inputs.picture_list).select(["id", "name"])
    names = dict(zip(*table.to_pydict().values(), strict=True))
    pictures: dict[str, dict[int, Shown]] = defaultdict(dict)
    for number, image in iterate_transparent_pictures(inputs.picture_list):
        if is_noted(names[number]):
            shown = shown_colours(colour_histogram(image))
            if shown is not None:
                pictures[names[number]][number] = shown
    for name in sorted(pictures):
        generator = numpy_generator(inputs.seed, "colour_notes", name)
        ids = list(pictures[name])
        for note, place in notes_of(name, list(pictures[name].values()), generator):
            yield Document(note, group=name, pictures=(ids[place],))


PLUGIN = TextSource(documents, needs_pictures=True, grouped=True, pictured=True, third_party=False)
