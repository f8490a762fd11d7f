"""The decoder-only transformer that all variants share (VALM.md 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from valm.errors import InputError
from valm.models.initialise import Projection
from valm.models.pictures import Pictures
from valm.models.positions import sinusoidal_positions


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of the trunk; the feed-forward layers are four times as wide as the trunk."""

    layers: int
    width: int
    heads: int
    context_tokens: int
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    dropout: float = 0.0

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


class AttentionWeights(NamedTuple):
    """Where each token looks; the weights of one head over text and pictures sum to 1."""

    text: Float[Tensor, "batch heads tokens tokens"]
    pictures: Float[Tensor, "batch heads tokens pictures"]


class SelfAttention(nn.Module):
    """Causal multi-head attention over the text.

    Args:
        scale: What logits are multiplied by; None: 1/sqrt(head width).
    """

    def __init__(self, config: TrunkConfig, scale: float | None = None):
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.scale = config.head_width**-0.5 if scale is None else scale
        self.query_key_value = Projection(config.width, 3 * config.width, zero_bias=False)
        self.output = Projection(config.width, config.width, zero_bias=True)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], pictures: Pictures | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Mix each token's state with those before it; pictures are not looked at."""
        query, key, value = self.split(x)
        if query.device.type == "cpu" and query.dtype == torch.bfloat16:
            # The backward pass of torch's own bfloat16 kernel for the CPU is five times slower.
            weights = self.text_logits(query, key).softmax(dim=-1)
            mixed = functional.dropout(weights, self.dropout, self.training) @ value
        else:
            dropout = self.dropout if self.training else 0.0
            mixed = functional.scaled_dot_product_attention(
                query, key, value, is_causal=True, dropout_p=dropout, scale=self.scale
            )
        return self.leave(mixed)

    def weights(
        self, x: Float[Tensor, "batch tokens width"], pictures: Pictures | None = None
    ) -> AttentionWeights:
        """Where each token looks."""
        query, key, _ = self.split(x)
        text = self.text_logits(query, key).softmax(dim=-1)
        return AttentionWeights(text, text[..., :0])

    def text_logits(
        self,
        query: Float[Tensor, "batch heads tokens head"],
        key: Float[Tensor, "batch heads tokens head"],
    ) -> Float[Tensor, "batch heads tokens tokens"]:
        """Scaled inner products of queries with the keys up to their own token, else -infinity."""
        batch, heads, tokens, _ = query.shape
        ahead = query.new_full((tokens, tokens), float("-inf")).triu(1)
        pairs = query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2)
        return torch.baddbmm(ahead, *pairs, alpha=self.scale).view(batch, heads, tokens, tokens)

    def split(
        self, x: Float[Tensor, "batch tokens width"]
    ) -> tuple[Float[Tensor, "batch heads tokens head"], ...]:
        """Queries, keys and values, by head."""
        batch, tokens, _ = x.shape
        split: Tensor = self.query_key_value(x).view(batch, tokens, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        return query, key, value

    def leave(
        self, mixed: Float[Tensor, "batch heads tokens head"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The output projection of all heads side by side."""
        projected: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """Attention, then a feed-forward layer, each behind a layer norm and around a residual.

    Args:
        attention: What mixes tokens; a fusion puts its own here.
    """

    def __init__(self, config: TrunkConfig, attention: SelfAttention):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = attention
        self.feed_forward_norm = nn.LayerNorm(config.width)
        self.widen = nn.Linear(config.width, 4 * config.width)
        self.narrow = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], pictures: Pictures | None
    ) -> Float[Tensor, "batch tokens width"]:
        """One layer; every block is handed the pictures, only a fusion's attention reads them."""
        x = x + self.dropout(self.attention(self.attention_norm(x), pictures))
        hidden = functional.gelu(self.widen(self.feed_forward_norm(x)))
        out: Tensor = x + self.dropout(self.narrow(hidden))
        return out

    def weights(
        self, x: Float[Tensor, "batch tokens width"], pictures: Pictures | None
    ) -> AttentionWeights:
        """Where each token looks in this layer."""
        return self.attention.weights(self.attention_norm(x), pictures)


class Trunk(nn.Module):
    """Token and position embeddings, the blocks, and a final layer norm.

    Args:
        block: Makes the block of a layer (counted from 0).

    Attributes:
        recomputes: Whether gradients are made from activations that are computed a second time
            instead of kept: the same bits for less memory and more time.
    """

    sinusoids: Tensor

    def __init__(self, config: TrunkConfig, vocabulary_size: int, block: Callable[[int], Block]):
        super().__init__()
        self.config = config
        self.recomputes = False
        self.embedding = nn.Embedding(vocabulary_size, config.width)
        learned = config.positions == "learned"
        self.positions = nn.Embedding(config.context_tokens, config.width) if learned else None
        sinusoids = sinusoidal_positions(0 if learned else config.context_tokens, config.width)
        self.register_buffer("sinusoids", sinusoids, persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(block(layer) for layer in range(config.layers))
        self.final_norm = nn.LayerNorm(config.width)

    def forward(
        self, ids: Int[Tensor, "batch tokens"], pictures: Pictures | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """States after the final norm."""
        states: Tensor = self.final_norm(self.states_before(self.config.layers, ids, pictures))
        return states

    def block(self, layer: int) -> Block:
        """The block of a layer (counted from 0)."""
        return cast(Block, self.blocks[layer])  # or what shards it over processes

    def states_before(
        self, layer: int, ids: Int[Tensor, "batch tokens"], pictures: Pictures | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """States that enter a layer (counted from 0).

        Raises:
            InputError: The input is longer than the trunk's context.
        """
        x = self.embed(ids)
        for below in range(layer):
            if self.recomputes and torch.is_grad_enabled():
                x = checkpoint(self.block(below), x, pictures, use_reentrant=False)
            else:
                x = self.block(below)(x, pictures)
        return x

    def embed(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
        """Token embeddings times sqrt(width), plus positions."""
        tokens, longest = ids.shape[1], self.config.context_tokens
        if tokens > longest:
            raise InputError(
                f"an input of {tokens} tokens is longer than the model's context of {longest}",
                cure="cut the input, or train with a larger models.trunk.context_tokens",
            )
        positions = self.sinusoids if self.positions is None else self.positions.weight
        scaled = self.embedding(ids) * self.config.width**0.5
        out: Tensor = self.dropout(scaled + positions[:tokens])
        return out
