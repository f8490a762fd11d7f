"""What a language model answers to a task's questions, and how well it predicts its passages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from valm.evaluate.answers.reading import Speaker, read
from valm.evaluate.answers.rows import Batch, Text
from valm.evaluate.questions.prepared import NO_TOKEN, Requests
from valm.models.branches import Branches
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures, standardise
from valm.retrieve.given import Given, give
from valm.retrieve.showable import Showable


@dataclass(frozen=True)
class Reader:
    """A model of ours with what its tokens are given to look at; a ``Speaker``.

    Attributes:
        model: The language model.
        given: Pictures of every token of the task, or None for a model without pictures.
        table: Standardised values of the pictures that ``given`` names, float32 [rows, V].
    """

    branching: ClassVar[bool] = True

    model: LanguageModel
    given: Given | None
    table: Float[Tensor, "rows width"]

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        return len(self.model.output_embedding)

    def alike(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Equal numbers for equal tokens that are given the same pictures."""
        if self.given is None:
            return tokens
        given = self.given.ids if self.given.values is None else self.given.values
        rows = [tokens, self.given.mask] + ([] if given is None else [given])
        numbers: dict[bytes, int] = {}
        seen = (b"".join(part.tobytes() for part in row) for row in zip(*rows, strict=True))
        return np.fromiter((numbers.setdefault(one, len(numbers)) for one in seen), np.int64)

    def logits(self, tokens: NDArray[np.int64], batch: Batch) -> Float[Tensor, "asked vocabulary"]:
        """Logits in float32; those of other tokens than the asked ones are not computed."""
        branches = None if batch.plain else Branches.of(torch.from_numpy(batch.parents))
        ids = torch.from_numpy(tokens[batch.places])
        states = self.model.states(ids, self.pictures(batch.places), prefix=branches)
        row, place = torch.from_numpy(batch.asked).T
        return functional.linear(states[row, place], self.model.output_embedding).float()

    @classmethod
    def shown(
        cls,
        model: LanguageModel,
        control: str,
        ids: NDArray[np.int32],
        states: NDArray[np.float16],
        values: NDArray[np.float16],
        showable: Showable,
        seed: int,
    ) -> Reader:
        """A model with what a control gives it; of all values only the rows that are given are read.

        Args:
            control: Name of a picture control.
            ids: Pictures of every token, [T, K], -1 where there is none.
            states: The tokens' text states as picture values, [T, value width].
            values: Values of all pictures, [N, value width]; may be mapped.
            showable: The pictures that the control may draw.
            seed: The study's seed.
        """
        given = give(control, ids, states, showable, seed)
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


@dataclass(frozen=True)
class ChoiceScores:
    """How likely the candidates are to follow each question.

    Attributes:
        firsts: Log-probabilities of their first tokens, float32 [questions, candidates].
        wholes: Of all their tokens, of the same shape.
    """

    firsts: NDArray[np.float32]
    wholes: NDArray[np.float32]


@torch.inference_mode()
def choice_scores(reader: Speaker, requests: Requests, context_tokens: int) -> ChoiceScores:
    """Score each candidate behind each question.

    A question is read once for all candidates, and of a candidate of several tokens what comes
    behind it. A text longer than the context keeps its end, where the question is.
    """
    questions, lengths = len(requests), np.minimum(requests.lengths(), context_tokens)
    pieces = requests.choices[requests.endings[:, 1], 1:]  # of each ending, what it asks for
    asked = [*[1] * questions, *(pieces != NO_TOKEN).sum(axis=1).tolist()]
    starts = requests.offsets[1:] - lengths
    texts = [Text(*text) for text in zip(starts.tolist(), lengths.tolist(), asked, strict=True)]
    firsts = np.empty((questions, len(requests.choices)), dtype=np.float32)
    later = np.zeros(firsts.shape)
    for batch, scores in read(reader, requests.tokens, texts):
        first = batch.texts < questions
        found = scores[:, requests.choices[:, 0]].numpy()
        firsts[batch.texts[first]] = found[batch.answers[first]]
        ending, steps = batch.texts[~first] - questions, batch.steps[~first]
        wanted = scores[batch.answers[~first], pieces[ending, steps]]
        np.add.at(later, tuple(requests.endings[ending].T), wanted.double().numpy())
    return ChoiceScores(firsts, (firsts + later).astype(np.float32))


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
    windows = list(_windows(requests, left, context_tokens, stride_tokens))
    first_asked = np.array([one.start + one.length - one.asked for one in windows], np.int64)
    for batch, scores in read(reader, requests.tokens, windows):
        next_places = first_asked[batch.texts] + batch.steps + 1
        targets = requests.tokens[next_places]
        nats[next_places] = -scores[batch.answers, targets].numpy()
        is_best[next_places] = scores.argmax(dim=-1).numpy()[batch.answers] == targets
    return TokenScores(nats, is_best, texts)


def _windows(
    requests: Requests, texts: NDArray[np.int64], context: int, stride: int
) -> Iterator[Text]:
    """Stretches of input tokens; each is asked for what no window before it was."""
    for start, end in zip(requests.offsets[texts], requests.offsets[texts + 1], strict=True):
        inputs = int(end - start) - 1
        first, done = 0, 0
        while done < inputs:
            length = min(context, inputs - first)
            yield Text(int(start) + first, length, first + length - done)
            done = first + length
            first += stride
