"""Masked tokens from both sides, as BERT learns (VALM.md 10).

A share of each text's tokens is asked for; of these most read as a mask, a few as any other token, a few
as themselves. The model sees both ways, so it gives no probability to a next token.

Pictures are retrieved once per text, from the unmasked text: every token is shown those of the last,
whose query has read what came before. In training they may therefore speak of a masked token.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from valm.models.objective import Exercise, Objective
from valm.models.pictures import Pictures

ASKED, MASKED, REPLACED = 0.15, 0.8, 0.1  # the last two are shares of what is asked


class MaskedLM(Objective):
    """The tokens themselves, where they are asked for; the entry behind the vocabulary is the mask."""

    causal: ClassVar[bool] = False
    own_entries: ClassVar[int] = 1

    def exercise(
        self,
        ids: Int[Tensor, "batch tokens"],
        following: Int[Tensor, "batch tokens"],
        vocabulary_size: int,
        generator: Generator | None = None,
    ) -> Exercise:
        """As many tokens of each text are asked for, at least one."""
        texts, tokens = ids.shape
        device = ids.device
        count = max(1, round(ASKED * tokens))
        order = torch.rand(texts, tokens, generator=generator, device=device).argsort(dim=1)
        asked = torch.zeros_like(ids, dtype=torch.bool).scatter(1, order[:, :count], True)
        fate = torch.rand(texts, tokens, generator=generator, device=device)
        other = torch.randint(vocabulary_size, ids.shape, generator=generator, device=device)
        read = ids.where(~asked | (fate >= MASKED + REPLACED), other)
        read = read.masked_fill(asked & (fate < MASKED), vocabulary_size)
        return Exercise(read, ids, asked, self.prefix(ids))

    def prefix(self, ids: Int[Tensor, "batch tokens"]) -> Int[Tensor, " batch"]:
        """All of the text."""
        return ids.new_full((len(ids),), ids.shape[1])

    def pictures(self, found: Pictures) -> Pictures:
        """Those of the last token, for all."""
        return found.of_last_token()


PLUGIN = MaskedLM()
