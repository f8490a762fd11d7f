"""Which pictures show the very things that a question is about: those that bear their names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.embed.words import WORD
from valm.evaluate.questions.prepared import Requests
from valm.ingest.nouns import plural
from valm.ingest.pictures.numbering import read_picture_list


class PicturesByName:
    """Kept pictures by name, in singular and plural alike.

    Args:
        pictures: Manifest of the picture list.
        without: Ids of pictures that have been taken down.
    """

    def __init__(self, pictures: Path, without: Collection[int] = ()):
        self._named: dict[str, list[int]] = {}
        gone = set(without)
        columns = read_picture_list(pictures).select(["name", "id", "kept"]).to_pydict()
        for name, number, kept in zip(*columns.values(), strict=True):
            if kept and number not in gone:
                for form in forms(name):
                    self._named.setdefault(form, []).append(number)

    def of(self, thing: str) -> list[int]:
        """Ids of the pictures whose name is the thing's, in order."""
        found = {number for form in forms(thing) for number in self._named.get(form, [])}
        return sorted(found)


def own_pictures(
    requests: Requests, items: pl.DataFrame, named: PicturesByName, retrieved: NDArray[np.int32]
) -> tuple[NDArray[np.int32], int]:
    """What the oracle shows at every token, [T, K], and for how many items it knows better.

    The pictures of several things take turns. A text whose things have none keeps what was
    retrieved, so that the oracle differs from retrieval only where it knows better.

    Args:
        items: A row about each question or passage; ``things`` names what a question is about.
        retrieved: [T, K].
    """
    own = retrieved.copy()
    if "things" not in items.columns:
        return own, 0
    things, names = items["things"].to_list(), items["item"].to_list()
    of_text = [*range(len(requests)), *requests.endings[:, 0].tolist()]
    shown = set()
    for text, question in enumerate(of_text):
        turns = zip_longest(*(named.of(thing) for thing in things[question]))
        ids = [number for turn in turns for number in turn if number is not None]
        if ids:
            row = np.full(own.shape[1], -1, dtype=np.int32)
            row[: len(ids)] = ids[: len(row)]
            own[requests.offsets[text] : requests.offsets[text + 1]] = row
            shown.add(names[question])
    return own, len(shown)


def forms(name: str) -> Sequence[str]:
    """A name's words in lower case, in singular and plural; nothing if it has none."""
    words = " ".join(WORD.findall(name.lower()))
    return (words, plural(words)) if words else ()
