"""Reads texts with a language model and says what it thinks follows the tokens that are asked of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from valm.evaluate.answers.rows import Batch, Text, batches, lay_out

TOKENS_PER_BATCH = 8192
# Bounds the logits of a batch: 64 MiB in float32, whatever the vocabulary.
LOGITS_PER_BATCH = 1 << 24


class Speaker(Protocol):
    """A language model that is asked about some tokens.

    Attributes:
        branching: Whether a row may hold a tree of texts; else only texts that go on from each other.
    """

    branching: ClassVar[bool]

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        ...

    def alike(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Equal numbers for tokens that are the same to it, with what they are given to look at."""
        ...

    def logits(self, tokens: NDArray[np.int64], batch: Batch) -> Float[Tensor, "asked vocabulary"]:
        """Logits, in float32, of what follows the asked tokens of a batch.

        Args:
            tokens: All tokens, [T].
        """
        ...


def read(
    speaker: Speaker, tokens: NDArray[np.int64], texts: Sequence[Text]
) -> Iterator[tuple[Batch, Float[Tensor, "asked vocabulary"]]]:
    """Batches of texts, and log-probabilities of what follows their asked tokens.

    What several texts begin with is read once, so a text's scores do not depend on its neighbours
    but for rounding.
    """
    rows = list(lay_out(texts, speaker.alike(tokens), speaker.branching))
    asked_per_batch = LOGITS_PER_BATCH // speaker.vocabulary_size
    tokens_per_batch = TOKENS_PER_BATCH if speaker.branching else asked_per_batch
    for batch in batches(rows, tokens_per_batch, asked_per_batch):
        yield batch, speaker.logits(tokens, batch).log_softmax(dim=-1)
