"""An encoder without weights: causal, deterministic, and its states say what they have seen."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from valm.embed.encoder import TokenStates
from valm.embed.towers.networks import TextTower


class FakeEncoder:
    """Keys are decaying sums of fixed random vectors of the ids so far.

    Values hold, in this order, how many tokens of the window came before, the id itself, and the sum
    of the ids so far modulo 1,000: a state shows which window it was taken from.

    Attributes:
        windows, padded_tokens: How much has been encoded.
    """

    context_tokens = 64
    value_width = 3

    def __init__(self, key_width: int = 16, vocabulary_size: int = 512):
        generator = torch.Generator().manual_seed(7)
        self.key_width = key_width
        self._table = torch.randn(vocabulary_size, key_width, generator=generator)
        self.windows = self.padded_tokens = 0

    def encode_tokens(self, ids: Int[Tensor, "windows tokens"]) -> TokenStates:
        """States of every token of every window."""
        assert ids.shape[1] <= self.context_tokens
        self.windows += len(ids)
        self.padded_tokens += ids.numel()
        places = torch.arange(ids.shape[1])
        age = places[:, None] - places[None, :]
        past = torch.where(age >= 0, 0.8 ** age.clamp(min=0), 0.0)
        keys = torch.nn.functional.normalize(past @ self._table[ids], dim=-1)
        seen = [places.expand(ids.shape), ids, ids.cumsum(1) % 1000]
        return TokenStates(keys=keys, values=torch.stack(seen, dim=-1).float())


class TowerEncoder:
    """A small transformer with weights as they are drawn: its sums round, as those of any encoder do."""

    key_width = value_width = 48
    context_tokens = 64

    def __init__(self, vocabulary_size: int = 512):
        torch.manual_seed(3)
        self._tower = TextTower(vocabulary_size, self.context_tokens, 2, self.key_width, 11).eval()

    def encode_tokens(self, ids: Int[Tensor, "windows tokens"]) -> TokenStates:
        """States of every token of every window; the values are the keys."""
        keys, _ = self._tower(ids)
        return TokenStates(keys, keys)
