"""Which pictures texts came with, so that no text is shown its own (``exclude_same_document``).

Texts of the same words are one document, wherever they stand: what came with any of them came with all.
So the pictures are kept by the words, as the place of their hash that documents are drawn by too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.core.seeding import unit_interval
from valm.ingest.text.documents import Document

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def folded(text: str) -> str:
    """What makes two documents the same: their words, whatever their case and lines."""
    return " ".join(text.lower().split())


def place_of(words: str) -> float:
    """The place in [0, 1) of a folded text, by its hash: documents are drawn in this order."""
    return unit_interval(words, "draw")


def between(first: NDArray[np.integer[Any]], last: NDArray[np.integer[Any]]) -> Pairs:
    """All places from ``first`` up to ``last`` of each of some ranges: whose each is, and the place."""
    counts = (last - first).astype(np.int64)
    owner = np.repeat(np.arange(len(counts)), counts)
    start = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - start[owner] + first.astype(np.int64)[owner]


@dataclass
class CameWith:
    """The pictures of texts, noted while documents are read.

    Attributes:
        by_lines: Whether each line of a document is a text of its own.
        places: Of the texts that came with pictures, as often as they have some.
        pictures: An id for each.
    """

    by_lines: bool
    places: array[float] = field(default_factory=lambda: array("d"))
    pictures: array[int] = field(default_factory=lambda: array("i"))

    def noting(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The same documents; what they came with is noted on the way."""
        for document in documents:
            if document.pictures:
                for text in document.text.split("\n") if self.by_lines else [document.text]:
                    if text:
                        self.places.extend([place_of(folded(text))] * len(document.pictures))
                        self.pictures.extend(document.pictures)
            yield document

    def __bool__(self) -> bool:
        return len(self.places) > 0

    def of(self, places: NDArray[np.float64]) -> NDArray[np.int64]:
        """Pairs of a text, by its number among some, and a picture it came with, [2, pairs], sorted."""
        noted, pictures = np.array(self.places), np.array(self.pictures, np.int64)
        order = np.argsort(noted, kind="stable")
        first, last = (np.searchsorted(noted[order], places, side) for side in ("left", "right"))
        text, found = between(first, last)
        return np.unique(np.stack([text, pictures[order][found]]), axis=1)
