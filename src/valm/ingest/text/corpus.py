"""A study's documents across all text sources: who is in which split, and who is drawn.

The documents stay in their files. In memory are a few numbers each, some 30 bytes a document.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.config.ingest import Split
from valm.core.seeding import unit_interval
from valm.errors import ConfigError
from valm.ingest.text.came_with import CameWith, folded, place_of
from valm.ingest.text.documents import Document, line_blocks, read_text, text_source

SPLITS = ("train", "valid", "test")
COLOUR_NOTES = "colour_notes"  # the source whose amount is a share of the others', not a cap
MAXIMUM_SOURCES = 256  # a document's source is stored as uint8


def split_of(key: str, split: Split) -> str:
    """The split that a document's text, or the name of its group, falls into by its hash."""
    place = unit_interval(key, "split")
    if place < split.valid_fraction:
        return "valid"
    return "test" if place < split.valid_fraction + split.test_fraction else "train"


@dataclass(frozen=True)
class Corpus:
    """Numbers of every document, in the order of the sources' files; arrays have shape [documents].

    Attributes:
        manifests: The sources' text manifests.
        names: The sources' names.
        source: uint8, index into ``names``.
        split: uint8, index into ``SPLITS``.
        draw: float64 in [0, 1), by the hash of the text: documents are drawn in this order.
        words: int32, words of the folded text.
        characters: int32, characters of the folded text.
        unique: bool, False for a document that an earlier one equals.
        by_lines: Whether a "document" is a block of lines, each of which is a text to the model.
        came_with: The pictures that its texts came with.
    """

    manifests: list[Path]
    names: list[str]
    source: NDArray[np.uint8]
    split: NDArray[np.uint8]
    draw: NDArray[np.float64]
    words: NDArray[np.int32]
    characters: NDArray[np.int32]
    unique: NDArray[np.bool_]
    by_lines: bool
    came_with: CameWith

    def read(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
        """Yield number and text of the chosen documents."""
        number = 0
        for manifest in self.manifests:
            for document in _cut(read_text(manifest), self.by_lines):
                if chosen[number]:
                    yield number, document.text
                number += 1


def survey(manifests: Sequence[Path], split: Split, documents: str) -> Corpus:
    """Read all documents once and note where each belongs.

    Documents of one group share a split; two documents of the same words are one.

    Args:
        manifests: The sources' text manifests.
        split: Shares of the splits.
        documents: As in ``ingest.text.documents``: under ``lines``, blocks of lines are taken for
            documents here.
    """
    by_lines = documents == "lines"
    if len(manifests) > MAXIMUM_SOURCES:
        raise ConfigError("a study takes at most 256 text sources", where="ingest.text.sources")
    source, splits, draw = array("B"), array("B"), array("d")
    words, characters = array("i"), array("i")
    came_with = CameWith(by_lines)
    for index, manifest in enumerate(manifests):
        for document in _cut(came_with.noting(read_text(manifest)), by_lines):
            text = folded(document.text)
            source.append(index)
            splits.append(SPLITS.index(split_of(document.group or text, split)))
            draw.append(place_of(text))
            words.append(text.count(" ") + 1)
            characters.append(len(text))
    drawn = np.array(draw)
    unique = np.zeros(len(drawn), bool)
    unique[np.unique(drawn, return_index=True)[1]] = True  # equal texts have equal places
    return Corpus(
        list(manifests),
        [text_source(manifest) for manifest in manifests],
        np.array(source),
        np.array(splits),
        drawn,
        np.array(words),
        np.array(characters),
        unique,
        by_lines,
        came_with,
    )


def draw_documents(
    corpus: Corpus, sizes: NDArray[np.integer[Any]], caps: Mapping[str, int | None]
) -> NDArray[np.bool_]:
    """Choose unique documents of each source in the order of their hash, up to a cap.

    Args:
        sizes: Size of each document in the caps' unit, [documents].
        caps: Largest sum of sizes by source; None takes all, an absent source gives nothing.

    Returns:
        Whether each document is chosen, [documents].
    """
    chosen = np.zeros(len(corpus.draw), bool)
    for name in corpus.names:
        ordered = _in_hash_order(corpus, name)
        cap = caps.get(name, 0)
        if cap is not None:
            ordered = ordered[np.cumsum(sizes[ordered]) <= cap]
        chosen[ordered] = True
    return chosen


def draw_colour_notes(
    corpus: Corpus, sizes: NDArray[np.integer[Any]], others: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Choose as many colour notes, in hash order, as make a share of the training split.

    The other splits get the notes that come as early in the order, which is the same share of them.

    Args:
        sizes: Tokens of each document, [documents].
        others: The documents chosen from the other sources, [documents].
        share: Wanted share of the notes in all training tokens.
    """
    chosen = np.zeros(len(corpus.draw), bool)
    if share > 0:
        in_train = corpus.split == SPLITS.index("train")
        wanted = sizes[others & in_train].sum() * share / (1 - share)
        ordered = _in_hash_order(corpus, COLOUR_NOTES)
        chosen[ordered[np.cumsum((sizes * in_train)[ordered]) <= wanted]] = True
    return chosen


def _cut(documents: Iterator[Document], by_lines: bool) -> Iterator[Document]:
    return line_blocks(documents) if by_lines else documents


def _in_hash_order(corpus: Corpus, name: str) -> NDArray[np.intp]:
    """Numbers of a source's unique documents, by ``draw``."""
    index = corpus.names.index(name) if name in corpus.names else -1
    mine = np.flatnonzero((corpus.source == index) & corpus.unique)
    return mine[np.argsort(corpus.draw[mine], kind="stable")]
