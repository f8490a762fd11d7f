"""Other pictures in the place of those that were retrieved, and what becomes of the answer.

The paper's figure 3 replaces the pictures of an apple by green ones. Here every token of a prompt is
given others: the same pictures with their hues turned, those of another thing, those that a permuted
picture base would give, none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from valm.evaluate.answers.answering import Reader
from valm.evaluate.answers.predict import OWN
from valm.models.language_model import LanguageModel
from valm.retrieve.given import Given, give
from valm.retrieve.showable import Showable

RECOLOURED, INSTEAD = "recoloured", "instead"
CONTROLS = ("permuted", "none")
TURNS = (120, 240)  # degrees of hue


@dataclass(frozen=True)
class Exchange:
    """What the T tokens of a prompt are given in one row of the figure.

    Attributes:
        name: ``own`` (retrieved), ``recoloured``, ``instead``, or a picture control.
        turn: Degrees by which the hues are turned.
        shown: Ids of the last token's pictures, for a reader to look at.
        given: Pictures of every token.
    """

    name: str
    turn: int
    shown: Sequence[int]
    given: Given


@dataclass(frozen=True)
class PictureValues:
    """What the language model reads of pictures.

    Attributes:
        stored: float16 [N, V], of all pictures; may be mapped.
        turned: By degrees of hue: float32 [n, V] of the pictures ``known``.
        known: Sorted ids of the pictures that were recoloured.
    """

    stored: NDArray[np.float16]
    turned: Mapping[int, NDArray[np.float32]]
    known: NDArray[np.int64]

    def of(self, ids: NDArray[np.int32], turn: int = 0) -> Given:
        """The pictures of every token, [T, K], with their hues turned; -1 is no picture."""
        rows = np.maximum(ids, 0)
        values = self.turned[turn][np.searchsorted(self.known, rows)] if turn else self.stored[rows]
        return Given(mask=ids >= 0, values=values.astype(np.float16))


def exchanges(
    ids: NDArray[np.int32],
    states: NDArray[np.float16],
    values: PictureValues,
    stand_in: Sequence[int],
    showable: Showable,
    seed: int,
) -> Iterator[Exchange]:
    """The retrieved pictures of a prompt, then everything that takes their place.

    Args:
        ids: [T, K] retrieved pictures, -1 where there is none.
        states: [T, V] text states, for controls that read them.
        values: Values of the pictures.
        stand_in: Ids of the other thing's pictures; none of them, no such row.
        showable: The pictures that a control may draw.
        seed: The study's seed.
    """
    yield Exchange(OWN, 0, ids[-1].tolist(), values.of(ids))
    for turn in values.turned:
        yield Exchange(RECOLOURED, turn, ids[-1].tolist(), values.of(ids, turn))
    if len(stand_in):
        others = np.full(ids.shape, -1, dtype=np.int32)
        others[:, : len(stand_in)] = list(stand_in)[: ids.shape[1]]
        yield Exchange(INSTEAD, 0, others[-1].tolist(), values.of(others))
    for control in CONTROLS:
        given = give(control, ids, states, showable, seed)
        if given.ids is None:
            yield Exchange(control, 0, [], given)
            continue
        found = np.where(given.mask, given.ids, -1).astype(np.int32)
        yield Exchange(control, 0, found[-1].tolist(), values.of(found))


def reader_of(model: LanguageModel, exchange: Exchange, top_k: int | None) -> Reader:
    """A model that is given an exchange's pictures, no more of them than it was trained with."""
    given = exchange.given
    if given.values is None:
        return Reader(model, given, torch.empty(0, 0))
    fewer = Given(mask=given.mask[:, :top_k], values=given.values[:, :top_k])
    return Reader(model, fewer, torch.empty(0, given.values.shape[-1]))
