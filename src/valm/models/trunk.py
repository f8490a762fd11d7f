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
from valm.models.architecture import ARCHITECTURES
from valm.models.branches import Branches
from valm.models.cache import Cache, LayerCache
from valm.models.initialise import Projection
from valm.models.pictures import Pictures
from valm.models.positions import sinusoidal_positions


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of the trunk; the feed-forward layers are four times as wide as the trunk.

    Attributes:
        architecture: Name of a registered architecture.
    """

    layers: int
    width: int
    heads: int
    context_tokens: int
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    dropout: float = 0.0
    architecture: str = "fairseq"

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


class AttentionWeights(NamedTuple):
    """Where each token looks; the weights of one head over text and pictures sum to 1.

    They sum to less where a learned null image takes the rest.
    """

    text: Float[Tensor, "batch heads tokens tokens"]
    pictures: Float[Tensor, "batch heads tokens pictures"]


def unseen(
    query: Float[Tensor, "batch heads tokens head"],
    keys: int,
    prefix: Int[Tensor, " batch"] | Branches | None = None,
) -> Float[Tensor, "tokens keys"] | Float[Tensor, "batch 1 tokens keys"]:
    """-infinity where a key is of a later token than a query, behind the prefix if any; else 0.

    The queries are those of the last tokens; more keys are of tokens before them.

    Args:
        prefix: How many of its first tokens all tokens of a text see; or which tokens see which.
    """
    if isinstance(prefix, Branches):
        return prefix.unseen.to(query.dtype)
    tokens = query.shape[2]
    ahead = query.new_full((tokens, keys), float("-inf")).triu(1 + keys - tokens)
    if prefix is None:
        return ahead
    behind = torch.arange(keys, device=query.device) >= prefix.view(-1, 1, 1, 1)
    return ahead.where(behind, 0.0)


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
        self,
        x: Float[Tensor, "batch tokens width"],
        pictures: Pictures | None = None,
        past: LayerCache | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """Mix each token's state with those that it sees; pictures are not looked at."""
        query, key, value = self.split(x, past)
        if query.device.type == "cpu" and query.dtype == torch.bfloat16:
            # The backward pass of torch's own bfloat16 kernel for the CPU is five times slower.
            weights = self.text_logits(query, key, prefix).softmax(dim=-1)
            mixed = functional.dropout(weights, self.dropout, self.training) @ value
        else:
            dropout = self.dropout if self.training else 0.0
            # torch's own causal mask takes the first query for the first key's.
            causal = prefix is None and query.shape[2] == key.shape[2]
            mask = None if causal else unseen(query, key.shape[2], prefix)
            mixed = functional.scaled_dot_product_attention(
                query, key, value, mask, dropout, is_causal=causal, scale=self.scale
            )
        return self.leave(mixed)

    def weights(
        self,
        x: Float[Tensor, "batch tokens width"],
        pictures: Pictures | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> AttentionWeights:
        """Where each token looks."""
        query, key, _ = self.split(x)
        text = self.text_logits(query, key, prefix).softmax(dim=-1)
        return AttentionWeights(text, text[..., :0])

    def text_logits(
        self,
        query: Float[Tensor, "batch heads tokens head"],
        key: Float[Tensor, "batch heads keys head"],
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch heads tokens keys"]:
        """Scaled inner products of queries with the keys that they see, else -infinity."""
        batch, heads, tokens, _ = query.shape
        hidden = unseen(query, key.shape[2], prefix)
        if prefix is not None:
            hidden = hidden.expand(batch, heads, -1, -1).flatten(0, 1)
        pairs = query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2)
        logits = torch.baddbmm(hidden, *pairs, alpha=self.scale)
        return logits.view(batch, heads, tokens, -1)

    def split(
        self, x: Float[Tensor, "batch tokens width"], past: LayerCache | None = None
    ) -> tuple[
        Float[Tensor, "batch heads tokens head"],
        Float[Tensor, "batch heads keys head"],
        Float[Tensor, "batch heads keys head"],
    ]:
        """Queries, keys and values, by head; keys and values are those of the past too."""
        parts = self.query_key_value(x).chunk(3, dim=-1)
        query, key, value = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        return (query, key, value) if past is None else (query, *past.extend(key, value))

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
        self.architecture = ARCHITECTURES.get(config.architecture)
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = attention
        self.feed_forward_norm = nn.LayerNorm(config.width)
        self.widen = nn.Linear(config.width, 4 * config.width)
        self.narrow = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        pictures: Pictures | None,
        past: LayerCache | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """One layer; every block is handed the pictures, only a fusion's attention reads them."""
        x = x + self.dropout(self.attention(self.attention_norm(x), pictures, past, prefix))
        hidden = self.architecture.activation(self.widen(self.feed_forward_norm(x)))
        out: Tensor = x + self.dropout(self.narrow(hidden))
        return out

    def weights(
        self,
        x: Float[Tensor, "batch tokens width"],
        pictures: Pictures | None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> AttentionWeights:
        """Where each token looks in this layer."""
        return self.attention.weights(self.attention_norm(x), pictures, prefix)


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
        self.architecture = ARCHITECTURES.get(config.architecture)
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
        self,
        ids: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        cache: Cache | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """States after the final norm.

        Args:
            cache: The tokens before these, which are read no more; these are added to it.
            prefix: How many of its first tokens all tokens of a text see; None: a token sees those
                before it and no other. Or how the tokens hang together, where a row holds several
                texts; not with a cache.
        """
        below = self.states_before(self.config.layers, ids, pictures, cache, prefix)
        states: Tensor = self.final_norm(below)
        return states

    def block(self, layer: int) -> Block:
        """The block of a layer (counted from 0)."""
        return cast(Block, self.blocks[layer])  # or what shards it over processes

    def states_before(
        self,
        layer: int,
        ids: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        cache: Cache | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """States that enter a layer (counted from 0).

        Raises:
            InputError: The input, with what the cache holds, is longer than the trunk's context.
        """
        first = 0 if cache is None else cache.tokens
        x = self.embed(ids, prefix.positions if isinstance(prefix, Branches) else first)
        for below in range(layer):
            past = None if cache is None else cache.layers[below]
            if self.recomputes and torch.is_grad_enabled() and cache is None:
                block = self.block(below)
                x = checkpoint(block, x, pictures, past, prefix, use_reentrant=False)
            else:
                x = self.block(below)(x, pictures, past, prefix)
        return x

    def embed(
        self, ids: Int[Tensor, "batch tokens"], at: int | Int[Tensor, "batch tokens"] = 0
    ) -> Float[Tensor, "batch tokens width"]:
        """Token embeddings, scaled, plus positions: from the first token's on, or of each token."""
        steps = at if isinstance(at, Tensor) else slice(at, at + ids.shape[1])
        end = int(at.max()) + 1 if isinstance(at, Tensor) else at + ids.shape[1]
        longest = self.config.context_tokens
        if end > longest:
            raise InputError(
                f"an input of {end} tokens is longer than the model's context of {longest}",
                cure="cut the input, or train with a larger models.trunk.context_tokens",
            )
        positions = self.sinusoids if self.positions is None else self.positions.weight
        scaled = self.embedding(ids) * self.architecture.embedding_scale(self.config.width)
        out: Tensor = self.dropout(scaled + positions[steps])
        return out
