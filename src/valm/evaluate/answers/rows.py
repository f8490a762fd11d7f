"""Lays texts out in rows for a language model: what several texts begin with stands there once.

Nine prompts about a hundred things, or the candidates behind one question, differ in their last few
tokens. Sorted, texts that begin alike are neighbours; each adds to the row of the one before only
the tokens that differ, so that a row holds a tree and a text is a path through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile

import numpy as np
from numpy.typing import NDArray

ROW_TOKENS = 128  # a row of short texts: attention over it costs little beside the layers
NOTHING = -1  # the parent of a text's first token, and of padding


@dataclass(frozen=True)
class Text:
    """A stretch of tokens that is read.

    Attributes:
        start: Place of its first token among all tokens.
        length: Number of its tokens; at most the model's context.
        asked: It is asked what follows each of its last so many tokens.
    """

    start: int
    length: int
    asked: int = 1


@dataclass(frozen=True)
class Batch:
    """Rows of one length, and what is asked of them.

    Attributes:
        places: int64 [rows, tokens], which token stands where, as a place among all tokens.
        parents: int64 [rows, tokens], where in its row a token's predecessor stands, -1 for none.
        asked: int64 [A, 2], rows and places in them of the tokens of which something is asked.
        texts: int64 [W], the text that wants to know, for each token that a text asks of.
        steps: int64 [W], which of its asked tokens this is.
        answers: int64 [W], where that token stands in ``asked``; several texts may share one.
        plain: Whether each row is one text, or texts that go on from each other; padding may follow.
    """

    places: NDArray[np.int64]
    parents: NDArray[np.int64]
    asked: NDArray[np.int64]
    texts: NDArray[np.int64]
    steps: NDArray[np.int64]
    answers: NDArray[np.int64]
    plain: bool


@dataclass
class Row:
    """A row in the making.

    Attributes:
        places: Which token stands where.
        parents: Where its predecessor stands.
        path: Where the tokens of the text that came last stand.
        wants: Each text with where its asked tokens stand.
        asked: All asked tokens.
    """

    places: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    path: list[int] = field(default_factory=list)
    wants: list[tuple[int, list[int]]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)

    def takes(self, length: int, shared: int, branching: bool) -> bool:
        """Whether a text that begins as the last one did belongs here."""
        if not branching:
            return shared == len(self.path)
        tokens, new = len(self.places), length - shared
        long_but_alike = 2 * new <= length and tokens + new <= 2 * length
        return tokens + new <= ROW_TOKENS or long_but_alike

    def add(self, number: int, text: Text, shared: int) -> None:
        """Put a text's tokens behind those that it shares with the last one."""
        path = self.path[:shared]
        for step in range(shared, text.length):
            self.parents.append(path[-1] if path else NOTHING)
            path.append(len(self.places))
            self.places.append(text.start + step)
        self.path = path
        self.wants.append((number, path[text.length - text.asked :]))
        self.asked.update(path[text.length - text.asked :])


def lay_out(texts: Sequence[Text], alike: NDArray[np.int64], branching: bool) -> Iterator[Row]:
    """Rows that hold all texts.

    Args:
        alike: [T], equal numbers for tokens that are the same to the model.
        branching: Whether a row may hold a tree; else each of its texts goes on from the last one.
    """
    keys = [alike[text.start : text.start + text.length].tolist() for text in texts]
    row, last = Row(), list[int]()
    for number in sorted(range(len(texts)), key=keys.__getitem__):
        key, text = keys[number], texts[number]
        pairs = zip(last, key, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if row.places and not row.takes(text.length, shared, branching):
            yield row
            row, shared = Row(), 0
        row.add(number, text, shared)
        last = key
    if row.places:
        yield row


def batches(rows: Sequence[Row], tokens_per_batch: int, asked_per_batch: int) -> Iterator[Batch]:
    """Rows side by side, the longest first, so that little is padded; one row is always taken."""
    order = sorted(rows, key=lambda row: -len(row.places))
    cuts, start, asked = [0], 0, 0
    for number, row in enumerate(order):
        asked += len(row.asked)
        tokens = (number + 1 - start) * len(order[start].places)
        if number > start and (tokens > tokens_per_batch or asked > asked_per_batch):
            cuts.append(number)
            start, asked = number, len(row.asked)
    for first, end in pairwise([*cuts, len(order)]):
        if first < end:
            yield _side_by_side(order[first:end])


def _side_by_side(rows: Sequence[Row]) -> Batch:
    """A batch of rows; what is missing at their ends is filled with anything, of which nobody asks."""
    longest = len(rows[0].places)
    places = np.zeros((len(rows), longest), dtype=np.int64)
    parents = np.full((len(rows), longest), NOTHING, dtype=np.int64)
    asked: list[tuple[int, int]] = []
    wants: list[tuple[int, int, int]] = []
    for number, row in enumerate(rows):
        places[number, : len(row.places)] = row.places
        parents[number, : len(row.parents)] = row.parents
        found = {place: at for at, place in enumerate(sorted(row.asked), len(asked))}
        asked += [(number, place) for place in found]
        for text, path in row.wants:
            wants += [(text, step, found[place]) for step, place in enumerate(path)]
    texts, steps, answers = np.array(wants).T
    plain = all(row.parents == list(range(-1, len(row.parents) - 1)) for row in rows)
    return Batch(places, parents, np.array(asked), texts, steps, answers, plain)
