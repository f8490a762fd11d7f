"""Every token from those before it: VaLM's own objective (VALM.md 1)."""

from __future__ import annotations

from jaxtyping import Int
from torch import Generator, Tensor

from valm.models.objective import Exercise, Objective


class CausalLM(Objective):
    """The next token, everywhere."""

    def exercise(
        self,
        ids: Int[Tensor, "batch tokens"],
        following: Int[Tensor, "batch tokens"],
        vocabulary_size: int,
        generator: Generator | None = None,
    ) -> Exercise:
        """The text as it is."""
        return Exercise(ids, following)


PLUGIN = CausalLM()
