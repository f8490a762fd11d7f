"""The rest of a text from a beginning that sees itself both ways (VALM.md 10).

Each text of a batch has a prefix of its own, of any length from one token to all. Without a prefix such
a model is a causal one, and that is how it is evaluated.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from valm.models.objective import Exercise, Objective


class PrefixLM(Objective):
    """The next token, from the last of the prefix on."""

    def exercise(
        self,
        ids: Int[Tensor, "batch tokens"],
        following: Int[Tensor, "batch tokens"],
        vocabulary_size: int,
        generator: Generator | None = None,
    ) -> Exercise:
        """The text as it is; inside the prefix, where the next token is seen, nothing is asked."""
        texts, tokens = ids.shape
        prefix = torch.randint(1, tokens + 1, (texts,), generator=generator, device=ids.device)
        asked = torch.arange(1, tokens + 1, device=ids.device) >= prefix.unsqueeze(1)
        return Exercise(ids, following, asked, prefix)


PLUGIN = PrefixLM()
