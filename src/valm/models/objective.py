"""What a training objective is: the plug-in that makes of a block of text what is read and asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int
from torch import Generator, Tensor

from valm.core.registry import Registry
from valm.models.pictures import Pictures


@dataclass(frozen=True)
class Exercise:
    """A batch as a model is trained on it.

    Attributes:
        ids: What is read.
        answers: What should be said at each place.
        asked: The places that are asked; None: all.
        prefix: How many of its first tokens all tokens of a text see; None: none.
    """

    ids: Int[Tensor, "batch tokens"]
    answers: Int[Tensor, "batch tokens"]
    asked: Bool[Tensor, "batch tokens"] | None = None
    prefix: Int[Tensor, " batch"] | None = None


class Objective(ABC):
    """One training objective; a module of ``valm.models.objectives`` sets ``PLUGIN`` to one.

    Attributes:
        causal: Whether its models, asked without a prefix, see nothing ahead of a token and give the
            probability of the next one.
        own_entries: Entries of the model's vocabulary behind the text's.
    """

    causal: ClassVar[bool] = True
    own_entries: ClassVar[int] = 0

    @abstractmethod
    def exercise(
        self,
        ids: Int[Tensor, "batch tokens"],
        following: Int[Tensor, "batch tokens"],
        vocabulary_size: int,
        generator: Generator | None = None,
    ) -> Exercise:
        """What is read and asked for.

        Args:
            ids: Tokens of the text.
            following: The token after each.
            vocabulary_size: Entries of the text's vocabulary; the objective's own come behind them.
            generator: Of random choices; None: torch's own.
        """

    def prefix(self, ids: Int[Tensor, "batch tokens"]) -> Int[Tensor, " batch"] | None:
        """How far all tokens see in a text that its models are asked about."""
        return None

    def pictures(self, found: Pictures) -> Pictures:
        """What tokens are shown, of the pictures that were found for each."""
        return found


OBJECTIVES: Registry[Objective] = Registry("objective", "valm.models.objectives")
