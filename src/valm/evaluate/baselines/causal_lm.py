"""Causal language models: GPT-2, OPT, and any other that transformers loads without foreign code.

Scored as our own models are: the next token at the end of the prompt, among the first tokens of the
candidate words (VALM.md 6.1), whole candidates beside it, and passages in blocks and sliding windows.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np
import polars as pl
import torch
import transformers
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from valm.evaluate.answers.baseline import AskedTexts, Baseline
from valm.evaluate.answers.checkpoint import Checkpoint
from valm.evaluate.answers.hub_words import Words
from valm.evaluate.answers.predict import Asked, choice_columns, passage_rows
from valm.evaluate.answers.rows import Batch
from valm.evaluate.questions.prepared import Requests


class HubSpeaker:
    """A model of transformers as a ``Speaker``."""

    branching: ClassVar[bool] = False  # attention of other models is their own affair

    def __init__(self, model: Any):
        self._model = model
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        return int(self._model.config.vocab_size)

    def alike(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens themselves."""
        return tokens

    def logits(self, tokens: NDArray[np.int64], batch: Batch) -> Float[Tensor, "asked vocabulary"]:
        """Logits in float32; none before the first asked place where the model allows it."""
        row, place = torch.from_numpy(batch.asked).T
        ids = torch.from_numpy(tokens[batch.places])
        first = int(place.min()) if self._keeps else 0
        kept = {"logits_to_keep": ids.shape[1] - first} if self._keeps else {}
        logits: Tensor = self._model(input_ids=ids, use_cache=False, **kept).logits
        return logits[row, place - first].float()


class CausalLM(Baseline):
    """Predicts the next token."""

    reads_passages = True

    def answers(self, checkpoint: Checkpoint, asked: AskedTexts) -> pl.DataFrame:
        """Log-probabilities of candidates, or the sums over passages."""
        model = checkpoint.model(transformers.AutoModelForCausalLM)
        words = Words(checkpoint)
        speaker, context = HubSpeaker(model), words.longest(model.config)
        if asked.choices:
            prompts = [words.encode(text) for text in asked.texts]
            pieces = [words.pieces(choice) for choice in asked.choices]
            requests = Requests.of_questions(prompts, pieces)
            return asked.items.with_columns(**choice_columns(speaker, requests, context))
        return pl.concat(passage_rows(speaker, _passages(words, asked), context))


def _passages(words: Words, asked: AskedTexts) -> Asked:
    """Each text between what begins and what ends one, as our own models read it."""
    inner = [words.encode(text, bare=True) for text in asked.texts]
    last = [len(words.pieces(text.split()[-1])) for text in asked.texts]
    counts = [min(pair) for pair in zip(last, map(len, inner), strict=True)]
    texts = [[words.start, *ids, words.end] for ids in inner]
    items = asked.items.with_columns(last_word_tokens=pl.Series(counts))
    return Asked(Requests.of_passages(texts), items, asked.definitions)


PLUGIN = CausalLM()
