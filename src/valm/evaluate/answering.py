"""Runs a language model over a task's texts, in batches of equal length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from valm.evaluate.prepared import NO_TOKEN, Requests
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures, standardise
from valm.retrieve.given import Given, give

TOKENS_PER_BATCH = 8192
# Bounds the logits of a batch of passages: 64 MiB in float32, whatever the vocabulary.
LOGITS_PER_BATCH = 1 << 24


class Speaker(Protocol):
    """A language model that is asked about the tokens of one task."""

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        ...

    def logits(
        self, tokens: NDArray[np.int64], places: NDArray[np.int64], last: int | None = None
    ) -> Float[Tensor, "batch last vocabulary"]:
        """Logits of what follows the last few of some texts' tokens; None: all of them.

        Args:
            tokens: Tokens of the task, [T].
            places: Where the texts' tokens stand among them, [batch, tokens].
        """
        ...


@dataclass(frozen=True)
class Reader:
    """A model of ours with what its tokens are given to look at; a ``Speaker``.

    Attributes:
        model: The language model.
        given: Pictures of every token of the task, or None for a model without pictures.
        table: Standardised values of the pictures that ``given`` names, float32 [rows, V].
    """

    model: LanguageModel
    given: Given | None
    table: Float[Tensor, "rows width"]

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        return len(self.model.output_embedding)

    def logits(
        self, tokens: NDArray[np.int64], places: NDArray[np.int64], last: int | None = None
    ) -> Float[Tensor, "batch last vocabulary"]:
        """Logits in float32; those of other tokens than the last few are not computed."""
        states = self.model.trunk(torch.from_numpy(tokens[places]), self.pictures(places))
        asked = states if last is None else states[:, -last:]
        return functional.linear(asked, self.model.output_embedding).float()

    @classmethod
    def shown(
        cls,
        model: LanguageModel,
        control: str,
        ids: NDArray[np.int32],
        states: NDArray[np.float16],
        values: NDArray[np.float16],
        seed: int,
    ) -> Reader:
        """A model with what a control gives it; of all values only the rows that are given are read.

        Args:
            control: Name of a picture control.
            ids: Pictures of every token, [T, K], -1 where there is none.
            states: The tokens' text states as picture values, [T, value width].
            values: Values of all pictures, [N, value width]; may be mapped.
            seed: The study's seed.
        """
        given = give(control, ids, states, len(values), seed)
        table = torch.empty(0, values.shape[1])
        if given.ids is not None:
            rows, places = np.unique(given.ids, return_inverse=True)
            given = replace(given, ids=places.reshape(given.ids.shape).astype(np.int32))
            table = standardise(torch.from_numpy(values[rows]).float())
        return cls(model, given, table)

    def pictures(self, places: NDArray[np.int64]) -> Pictures | None:
        """What the tokens at some places (rows of the task's tokens, [batch, tokens]) are given."""
        if self.given is None:
            return None
        mask = torch.from_numpy(self.given.mask[places])
        if self.given.ids is not None:
            ids = torch.from_numpy(self.given.ids[places].astype(np.int64))
            return Pictures(mask=mask, table=self.table, ids=ids, standardised=True)
        if self.given.values is None:
            return None
        return Pictures(mask=mask, vectors=torch.from_numpy(self.given.values[places]).float())


@torch.inference_mode()
def answer_log_probabilities(
    reader: Speaker, requests: Requests, context_tokens: int
) -> NDArray[np.float32]:
    """Log-probability of each candidate's first token as the next one of each question.

    One pass over a question serves all candidates. A text longer than the context keeps its end,
    where the question is.

    Returns:
        [questions, candidates].
    """
    answers = np.empty((len(requests), len(requests.choices)), dtype=np.float32)
    firsts = torch.from_numpy(requests.choices[:, 0])
    questions = np.arange(len(requests))
    for texts, places in _equal_lengths(requests, questions, context_tokens):
        found = reader.logits(requests.tokens, places, last=1)[:, 0].log_softmax(dim=-1)
        answers[texts] = found[:, firsts].numpy()
    return answers


@torch.inference_mode()
def ending_log_probabilities(
    reader: Speaker, requests: Requests, context_tokens: int
) -> NDArray[np.float32]:
    """Log-probability of what follows each candidate's first token, [questions, candidates].

    It is 0 for a candidate of one token. Added to ``answer_log_probabilities``, the whole
    candidate's log-probability.
    """
    answers = np.zeros((len(requests), len(requests.choices)), dtype=np.float32)
    later = requests.choices[requests.endings[:, 1], 1:]
    counts = (later != NO_TOKEN).sum(axis=1)
    for count in np.unique(counts):
        endings = np.flatnonzero(counts == count)
        for texts, places in _equal_lengths(requests, len(requests) + endings, context_tokens):
            batch = texts - len(requests)
            targets = torch.from_numpy(later[batch, :count])
            logits = reader.logits(requests.tokens, places, last=int(count))
            found = logits.log_softmax(dim=-1).gather(2, targets[..., None])
            answers[tuple(requests.endings[batch].T)] = found.sum(dim=(1, 2)).numpy()
    return answers


def _equal_lengths(
    requests: Requests, texts: NDArray[np.int64], context_tokens: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Batches of some texts of one length (cut to the context), and the places of their tokens."""
    lengths = np.minimum(requests.lengths()[texts], context_tokens)
    for length in np.unique(lengths):
        same = texts[lengths == length]
        size = max(1, TOKENS_PER_BATCH // int(length))
        for start in range(0, len(same), size):
            batch = same[start : start + size]
            ends = requests.offsets[batch + 1]
            yield batch, ends[:, None] - length + np.arange(length)


@dataclass(frozen=True)
class TokenScores:
    """Scores of every token of a task's texts but the first of each.

    Attributes:
        nats: Negative log-probability, float32 [T]; 0 for the first token of a text.
        is_best: Whether the token is the most likely one, bool [T].
        texts: The texts that were scored; other texts' tokens have no meaning here.
    """

    nats: NDArray[np.float32]
    is_best: NDArray[np.bool_]
    texts: NDArray[np.int64]


@torch.inference_mode()
def passage_scores(
    reader: Speaker,
    requests: Requests,
    context_tokens: int,
    stride_tokens: int,
    texts: NDArray[np.int64] | None = None,
    known: TokenScores | None = None,
) -> TokenScores:
    """Score passages in windows of the context's length.

    Args:
        stride_tokens: Distance of window starts. Equal to the context: blocks that are scored alone;
            less: every token but those of a passage's first window has a longer past.
        texts: The passages to score; None: all.
        known: Scores with another stride. Passages that fit the context have the same one window
            with every stride, so theirs are taken over.
    """
    nats = np.zeros(len(requests.tokens), dtype=np.float32)
    is_best = np.zeros(len(requests.tokens), dtype=np.bool_)
    texts = np.arange(len(requests)) if texts is None else texts
    left = texts
    if known is not None:
        nats[:], is_best[:] = known.nats, known.is_best
        is_short = requests.lengths() - 1 <= context_tokens
        left = np.setdiff1d(texts, known.texts[is_short[known.texts]])
    tokens_per_batch = LOGITS_PER_BATCH // reader.vocabulary_size
    for places, scored in _windows(requests, left, context_tokens, stride_tokens, tokens_per_batch):
        logits = reader.logits(requests.tokens, places)
        targets = torch.from_numpy(requests.tokens[places + 1])
        log_probabilities = logits.log_softmax(dim=-1)
        found = log_probabilities.gather(-1, targets[..., None])[..., 0].numpy()
        best = (log_probabilities.argmax(dim=-1) == targets).numpy()
        nats[places[scored] + 1] = -found[scored]
        is_best[places[scored] + 1] = best[scored]
    return TokenScores(nats, is_best, texts)


def _windows(
    requests: Requests,
    texts: NDArray[np.int64],
    context: int,
    stride: int,
    tokens_per_batch: int,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Places of input tokens [batch, length], and which of their next tokens are scored here."""
    by_length: dict[int, list[tuple[int, int]]] = {}
    for start, end in zip(requests.offsets[texts], requests.offsets[texts + 1], strict=True):
        inputs = int(end - start) - 1
        first, done = 0, 0
        while done < inputs:
            length = min(context, inputs - first)
            by_length.setdefault(length, []).append((int(start) + first, done - first))
            done = first + length
            first += stride
    for length, windows in by_length.items():
        size = max(1, tokens_per_batch // length)
        for start in range(0, len(windows), size):
            batch = np.array(windows[start : start + size])
            steps = np.arange(length)
            yield batch[:, :1] + steps, steps >= batch[:, 1:]
