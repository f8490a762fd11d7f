"""How likely continuations are: many of the same text from one pass, only their own logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from valm.evaluate.answering import LOGITS_PER_BATCH, TOKENS_PER_BATCH, Speaker


@dataclass(frozen=True)
class Span:
    """Tokens that a model reads, and those that it should say.

    Attributes:
        start: The first token that is read, as a place among all tokens.
        length: How many are read; at most the model's context.
        wanted: What should follow each of the last ``len(wanted)`` of them.
    """

    start: int
    length: int
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Likelihood:
    """Of one continuation.

    Attributes:
        log_probability: Sum over its tokens.
        is_greedy: Whether each token is the most likely one.
    """

    log_probability: float
    is_greedy: bool


@torch.inference_mode()
def likelihoods(
    speaker: Speaker, tokens: NDArray[np.int64], spans: Sequence[Span]
) -> list[Likelihood]:
    """Log-probability of what each span wants; spans that read the same are read once.

    Args:
        speaker: The model, with what the tokens are given to look at.
        tokens: All tokens, [T].
    """
    found: dict[int, Likelihood] = {}
    for batch, length, last in _batches(spans, speaker.vocabulary_size):
        starts = np.array([start for start, _ in batch])
        logits = speaker.logits(tokens, starts[:, np.newaxis] + np.arange(length), last)
        scores = logits.log_softmax(dim=-1)
        best = scores.argmax(dim=-1)
        for row, (_, numbers) in enumerate(batch):
            for number in numbers:
                wanted = torch.tensor(spans[number].wanted)
                mine = scores[row, last - len(wanted) :]
                total = mine.gather(1, wanted[:, np.newaxis]).sum(dtype=torch.float64)
                greedy = bool((best[row, last - len(wanted) :] == wanted).all())
                found[number] = Likelihood(float(total), greedy)
    return [found[number] for number in range(len(spans))]


Reading = tuple[int, list[int]]  # where it starts, and the spans that read it


def _batches(spans: Sequence[Span], vocabulary: int) -> Iterator[tuple[list[Reading], int, int]]:
    """Readings of one length and number of asked tokens, which are bounded in tokens and logits."""
    readings: dict[tuple[int, int], list[int]] = {}
    for number, span in enumerate(spans):
        readings.setdefault((span.start, span.length), []).append(number)
    shapes: dict[tuple[int, int], list[Reading]] = {}
    for (start, length), numbers in readings.items():
        last = max(len(spans[number].wanted) for number in numbers)
        shapes.setdefault((length, last), []).append((start, numbers))
    for (length, last), equal in shapes.items():
        size = max(1, min(TOKENS_PER_BATCH // length, LOGITS_PER_BATCH // (last * vocabulary)))
        for first in range(0, len(equal), size):
            yield equal[first : first + size], length, last
