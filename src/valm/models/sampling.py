"""How the next token is drawn from a model's logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor


@dataclass(frozen=True)
class Sampling:
    """A rule to draw by.

    Attributes:
        temperature: What logits are divided by; 0: the likeliest token, always.
        top_k: Only so many of the likeliest tokens are drawn from; None: all.
    """

    temperature: float = 0.0
    top_k: int | None = None

    def draw(self, logits: Float[Tensor, " vocabulary"], generator: Generator) -> int:
        """The next token."""
        if self.temperature == 0:
            return int(logits.argmax())
        likeliest = logits.topk(min(self.top_k or len(logits), len(logits)))
        shares = (likeliest.values.double() / self.temperature).softmax(dim=0)
        return int(likeliest.indices[torch.multinomial(shares, 1, generator=generator)])
