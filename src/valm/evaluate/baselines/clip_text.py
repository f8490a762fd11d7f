"""CLIP's text tower alone: how near is the prompt to the prompt with an answer behind it?

The published table does not say how CLIP was asked. Here a candidate's score is the cosine of the
embeddings of "The color of a lemon is" and "The color of a lemon is yellow", times CLIP's own scale. A
pair of things is compared by how far their embeddings lie in the direction from "small" to "large"
(Zhang et al. 2022); no picture is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
import transformers

from valm.evaluate.answers.baseline import (
    AskedTexts,
    Baseline,
    Scores,
    batches_of_equals,
    choice_table,
)
from valm.evaluate.answers.checkpoint import Checkpoint
from valm.evaluate.answers.hub_words import Words
from valm.evaluate.answers.reading import TOKENS_PER_BATCH
from valm.ingest.probes import YES_NO

LARGE, SMALL = "large", "small"
LOGIT_SCALE = 100.0  # CLIP's learnt temperature is clipped to it, and ends there


class ClipText(Baseline):
    """Compares texts."""

    def answers(self, checkpoint: Checkpoint, asked: AskedTexts) -> pl.DataFrame:
        """Log-shares of the candidates: a softmax over them alone, as CLIP has no other words."""
        tower = TextTower(checkpoint)
        if set(asked.choices) == set(YES_NO):
            scores = _by_size(tower, asked)
        else:
            scores = _by_completion(tower, asked)
        shares = torch.from_numpy(LOGIT_SCALE * scores).log_softmax(dim=1).numpy()
        return choice_table(asked.items, shares)


class TextTower:
    """Unit embeddings of texts."""

    def __init__(self, checkpoint: Checkpoint):
        self._model = checkpoint.model(transformers.CLIPTextModelWithProjection)
        self._words = Words(checkpoint)
        self._longest = self._words.longest(self._model.config)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> Scores:
        """Embeddings [texts, width]; equal texts are embedded once, none is padded."""
        distinct = list(dict.fromkeys(texts))
        ids = [self._words.encode(text, longest=self._longest) for text in distinct]
        lengths = [len(one) for one in ids]
        found = np.empty((len(distinct), self._model.config.projection_dim))
        for _, batch in batches_of_equals(lengths, lambda length: TOKENS_PER_BATCH // length):
            inputs = torch.tensor([ids[number] for number in batch])
            found[batch] = self._model(input_ids=inputs).text_embeds.double().numpy()
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        row = {text: number for number, text in enumerate(distinct)}
        return found[[row[text] for text in texts]]


def _by_completion(tower: TextTower, asked: AskedTexts) -> Scores:
    """Cosine of each question with and without each candidate, [questions, candidates]."""
    prompts = tower(asked.texts)
    columns = [tower([f"{text} {choice}" for text in asked.texts]) for choice in asked.choices]
    return np.stack([(prompts * column).sum(axis=1) for column in columns], axis=1)


def _by_size(tower: TextTower, asked: AskedTexts) -> Scores:
    """Whether the first thing of a question lies further towards "large" than the second.

    A question without a pair of things (a content-free one) compares a thing with itself.
    """
    large, small = tower([LARGE, SMALL])
    pairs = [tuple(things) if len(things) == 2 else ("", "") for things in asked.items["things"]]
    first, second = (tower(list(column)) @ (large - small) for column in zip(*pairs, strict=True))
    yes = first - second
    return np.stack([yes if choice == "yes" else -yes for choice in asked.choices], axis=1)


PLUGIN = ClipText()
