"""How likely continuations are; what many of them follow is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from valm.evaluate.answers.reading import Speaker, read
from valm.evaluate.answers.rows import Text


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
    """Log-probability of what each span wants.

    Args:
        speaker: The model, with what the tokens are given to look at.
        tokens: All tokens, [T].
    """
    texts = [Text(span.start, span.length, len(span.wanted)) for span in spans]
    totals, greedy = np.zeros(len(spans)), np.ones(len(spans), dtype=np.bool_)
    for batch, scores in read(speaker, tokens, texts):
        asked = zip(batch.texts.tolist(), batch.steps.tolist(), strict=True)
        wanted = np.array([spans[text].wanted[step] for text, step in asked])
        found = scores[batch.answers, wanted].double().numpy()
        np.add.at(totals, batch.texts, found)
        best = scores.argmax(dim=-1).numpy()[batch.answers]
        np.logical_and.at(greedy, batch.texts, best == wanted)
    pairs = zip(totals.tolist(), greedy.tolist(), strict=True)
    return [Likelihood(total, is_greedy) for total, is_greedy in pairs]
