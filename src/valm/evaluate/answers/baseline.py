"""What a baseline is: a model of others, with a vocabulary of its own, that answers our tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.core.registry import Registry
from valm.evaluate.answers.checkpoint import Checkpoint
from valm.evaluate.scores.metrics import CHOICE, FIRST_PIECE

Scores = NDArray[np.float64]
K = TypeVar("K")


@dataclass(frozen=True)
class AskedTexts:
    """A task's texts.

    Attributes:
        texts: Every question or passage.
        items: A row about each.
        choices: The candidate answers; none for passages.
        definitions: The task's metrics, by which passages are read.
    """

    texts: Sequence[str]
    items: pl.DataFrame
    choices: Sequence[str]
    definitions: Sequence[Mapping[str, Any]] = ()


class Baseline(ABC):
    """A kind of model; a module of ``valm.evaluate.baselines`` sets ``PLUGIN`` to an instance.

    Attributes:
        reads_passages: Whether it predicts a text word by word, so that it has a perplexity.
    """

    reads_passages = False

    @abstractmethod
    def answers(self, checkpoint: Checkpoint, asked: AskedTexts) -> pl.DataFrame:
        """The items with a model's answers beside them, in the columns of ``evaluate-model``.

        Raises:
            InputError: The checkpoint is of another kind, or a candidate has no tokens in it.
        """


BASELINES: Registry[Baseline] = Registry("kind of baseline", "valm.evaluate.baselines")


def choice_table(items: pl.DataFrame, wholes: Scores, firsts: Scores | None = None) -> pl.DataFrame:
    """The items with each candidate's log-probability.

    Args:
        wholes: Of whole candidates, [questions, candidates].
        firsts: Of their first pieces, where some candidate has several.
    """
    columns = {CHOICE: wholes} | ({} if firsts is None else {FIRST_PIECE: firsts})
    return items.with_columns(
        **{
            f"{name}{place}": pl.Series(scores[:, place].astype(np.float32))
            for name, scores in columns.items()
            for place in range(scores.shape[1])
        }
    )


def batches_of_equals(
    keys: Sequence[K], size_of: Callable[[K], int]
) -> Iterator[tuple[K, list[int]]]:
    """Places of equal keys, in batches, so that no text is ever padded.

    Args:
        keys: Say what must be equal within a batch, such as a length.
        size_of: Most texts in a batch of a key.
    """
    places: dict[K, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    for key, equal in places.items():
        size = max(1, size_of(key))
        for start in range(0, len(equal), size):
            yield key, equal[start : start + size]
