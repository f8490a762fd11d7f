"""Texts that begin alike, in one row: what they share is read once, whatever follows it.

A row holds a tree of tokens, each parent before its children; a text is a path from a root. Each
token looks at the tokens on its own path alone and stands at the position that it has in its own
text, so that its state is what it would be in that text by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Branches:
    """How the tokens of each row hang together.

    Attributes:
        positions: Of each token in its own text.
        unseen: -infinity where a token (a row of the matrix) does not look at another, else 0.
    """

    positions: Int[Tensor, "batch tokens"]
    unseen: Float[Tensor, "batch 1 tokens tokens"]

    @classmethod
    def of(cls, parents: Int[Tensor, "batch tokens"]) -> Branches:
        """From where each token's predecessor stands in its row; -1 where a text begins."""
        rows, tokens = torch.arange(len(parents)), parents.shape[1]
        positions = torch.zeros_like(parents)
        seen = torch.eye(tokens, dtype=torch.bool).repeat(len(parents), 1, 1)
        for place in range(tokens):
            parent = parents[:, place]
            goes_on = parent >= 0
            seen[:, place] |= seen[rows, parent] & goes_on[:, None]
            positions[:, place] = (positions[rows, parent] + 1) * goes_on
        unseen = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))
        return cls(positions, unseen[:, None])
