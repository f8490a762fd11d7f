"""The tokens that a model has read, as the keys and values of each layer: none is read twice.

A text is read in stretches, each with the pictures of its own tokens, and the logits are those of
the whole text read at once. One prefix serves many continuations: ``prefix.repeated(n)`` is n texts
that begin alike, and shorter continuations are padded behind, where no token before looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class LayerCache:
    """Keys and values of the text in one layer; None before the first token.

    Pictures leave nothing behind: a token looks at its own only.
    """

    key: Float[Tensor, "batch heads past head"] | None = None
    value: Float[Tensor, "batch heads past head"] | None = None

    def extend(
        self,
        key: Float[Tensor, "batch heads tokens head"],
        value: Float[Tensor, "batch heads tokens head"],
    ) -> tuple[Float[Tensor, "batch heads keys head"], Float[Tensor, "batch heads keys head"]]:
        """Add those of the next tokens; return those of all."""
        if self.key is not None and self.value is not None:
            key, value = torch.cat([self.key, key], dim=2), torch.cat([self.value, value], dim=2)
        self.key, self.value = key, value
        return key, value


class Cache:
    """The past of a batch of texts of one length, which every forward pass makes longer.

    Args:
        layers: Number of the model's layers.
    """

    def __init__(self, layers: int):
        self.layers = [LayerCache() for _ in range(layers)]

    @property
    def tokens(self) -> int:
        """How many tokens of each text have been read."""
        key = self.layers[0].key
        return 0 if key is None else key.shape[2]

    def repeated(self, texts: int) -> Cache:
        """A cache of its own for several texts that all begin with this one's single text."""
        return self._each(lambda past: past.expand(texts, -1, -1, -1))

    def first(self, tokens: int) -> Cache:
        """A cache of its own that ends after some tokens, as if no more had been read."""
        return self._each(lambda past: past[:, :, :tokens]) if tokens else Cache(len(self.layers))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Cache:
        changed = Cache(len(self.layers))
        changed.layers = [
            LayerCache(
                *(None if past is None else change(past) for past in (layer.key, layer.value))
            )
            for layer in self.layers
        ]
        return changed
