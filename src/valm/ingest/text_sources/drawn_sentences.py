"""Sentences about plain shapes, made here: a text source that needs nothing.

For studies that try the workflow and not the science, such as ``config/studies/tiny.yaml``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from valm.core.seeding import numpy_generator
from valm.ingest.nouns import with_article
from valm.ingest.picture_sources.drawn_shapes import SHAPES
from valm.ingest.probes import COLOURS
from valm.ingest.probes import SHAPES as SHAPE_WORDS
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource

PLACES = (
    "on the table",
    "under a tree",
    "by the river",
    "in the box",
    "near the door",
    "at school",
)
FRAMES = (
    "there is {thing} {place}. everybody says that it is {colour}.",
    "somebody left {thing} {place}, and it looks {form}.",
    "yes, {thing} {place} is what we wanted; no, it is not {form}.",
    "she drew {thing} {place}. it was neither large nor small.",
    "a friend of mine keeps {thing} {place} because of its {colour} side.",
)
REPEATS = 4  # about 60,000 words


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a shape, colour, place and turn, each of two sentences."""
    generator = numpy_generator(inputs.seed, "drawn_sentences")
    for shape, colour, place, _ in product(SHAPES, COLOURS, PLACES, range(REPEATS)):
        form = SHAPE_WORDS[generator.integers(len(SHAPE_WORDS))]
        frames = generator.choice(FRAMES, size=2, replace=False)
        thing = with_article(f"{colour} {shape}")
        text = " ".join(
            f.format(thing=thing, colour=colour, form=form, place=place) for f in frames
        )
        yield Document(text)


PLUGIN = TextSource(documents, third_party=False)
