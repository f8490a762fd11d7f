"""Masked language models, asked about text alone: BERT, CaptionBERT, OSCAR, RoBERTa, ALBERT ...

Behind each prompt stands one masked token and a full stop. Candidates are compared by their first
sub-words, the published variant, and by the mean pseudo-log-likelihood of all their sub-words
(SYSTEMS.md 7). OSCAR's text side is BERT's: its weights load as BERT's, without regions and tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
import torch
import transformers

from valm.errors import InputError
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


@dataclass(frozen=True)
class Gap:
    """A text with a masked token that is asked for.

    Attributes:
        ids: Its tokens.
        place: Where the mask stands.
    """

    ids: tuple[int, ...]
    place: int


class MaskedLM(Baseline):
    """Predicts masked tokens from both sides.

    Attributes:
        family: The class of transformers that loads it.
        output: Name of the logits of tokens in what it returns.
    """

    family: ClassVar[type[Any]] = transformers.AutoModelForMaskedLM
    output: ClassVar[str] = "logits"

    def answers(self, checkpoint: Checkpoint, asked: AskedTexts) -> pl.DataFrame:
        """Log-probabilities of every candidate in the place of the mask."""
        model, words = checkpoint.model(self.family), Words(checkpoint)
        longest = words.longest(model.config)
        pieces = [words.pieces(choice) for choice in asked.choices]
        gaps = [gap(words, text, [None], 0, longest) for text in asked.texts]
        firsts = self._log_probabilities(model, gaps, [ids[0] for ids in pieces])
        if max(map(len, pieces)) == 1:
            return choice_table(asked.items, firsts)
        wholes = firsts.copy()
        for candidate, ids in enumerate(pieces):
            if len(ids) > 1:
                wholes[:, candidate] = np.mean(
                    [
                        self._log_probabilities(
                            model,
                            [gap(words, text, ids, piece, longest) for text in asked.texts],
                            [token],
                        )[:, 0]
                        for piece, token in enumerate(ids)
                    ],
                    axis=0,
                )
        return choice_table(asked.items, wholes, firsts)

    @torch.inference_mode()
    def _log_probabilities(self, model: Any, gaps: Sequence[Gap], tokens: Sequence[int]) -> Scores:
        """Of each token in each gap, [gaps, tokens]; equal gaps are asked once, none is padded."""
        distinct = list(dict.fromkeys(gaps))
        found = np.empty((len(distinct), len(tokens)))
        lengths = [len(one.ids) for one in distinct]
        for _, batch in batches_of_equals(lengths, lambda length: TOKENS_PER_BATCH // length):
            ids = torch.tensor([distinct[number].ids for number in batch])
            logits = getattr(model(input_ids=ids), self.output).float()
            at_gap = logits[range(len(batch)), [distinct[number].place for number in batch]]
            found[batch] = at_gap.log_softmax(dim=-1)[:, list(tokens)].numpy()
        row = {one: number for number, one in enumerate(distinct)}
        return found[[row[one] for one in gaps]]


def gap(words: Words, prompt: str, pieces: Sequence[int | None], masked: int, longest: int) -> Gap:
    """A prompt with an answer and a full stop, one piece of the answer being masked.

    Args:
        pieces: The answer's tokens; that of the masked one is not read.
        masked: Which of them is asked for.
        longest: A longer text loses its beginning.

    Raises:
        InputError: The model has no mask.
    """
    if words.mask is None:
        raise InputError("the tokenizer has no mask", cure="name the checkpoint of a masked model")
    masks = " ".join([words.mask] * len(pieces))
    ids = words.encode(f"{prompt} {masks}.", longest=longest)
    # The answer's masks are the last ones, whatever the prompt says.
    places = [place for place, token in enumerate(ids) if token == words.mask_id][-len(pieces) :]
    for place, piece in zip(places, pieces, strict=True):
        if place != places[masked] and piece is not None:
            ids[place] = piece
    return Gap(tuple(ids), places[masked])


PLUGIN = MaskedLM()
