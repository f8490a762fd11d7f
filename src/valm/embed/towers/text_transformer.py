"""A causal text transformer, parameter for parameter that of open_clip.

open_clip's own costs every process that reads an encoder seconds of imports (torchvision, timm,
transformers) for 30 lines of arithmetic. Names, shapes, order of initialisation and values are the same, so
weights go either way and a seed gives the same bits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TextBlock(nn.Module):
    """Self-attention and a hidden layer four times as wide, each normalised before and added to what came in.

    Args:
        width: Width of the states.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ls_1 = nn.Identity()  # where open_clip may scale a layer's output
        self.ln_2 = nn.LayerNorm(width)
        wide, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(OrderedDict(c_fc=wide, gelu=nn.GELU(), c_proj=narrow))
        self.ls_2 = nn.Identity()

    def forward(
        self,
        states: Float[Tensor, "texts tokens width"],
        attn_mask: Float[Tensor, "tokens tokens"],
    ) -> Float[Tensor, "texts tokens width"]:
        """The states after the block; ``attn_mask`` is added to the attention's logits."""
        seen = self.ln_1(states)
        states = states + self.attn(seen, seen, seen, need_weights=False, attn_mask=attn_mask)[0]
        after: Tensor = states + self.mlp(self.ln_2(states))
        return after


class TextBlocks(nn.Module):
    """The blocks, one after the other."""

    def __init__(self, width: int, layers: int, heads: int):
        super().__init__()
        self.resblocks = nn.ModuleList([TextBlock(width, heads) for _ in range(layers)])

    def forward(
        self,
        states: Float[Tensor, "texts tokens width"],
        attn_mask: Float[Tensor, "tokens tokens"],
    ) -> Float[Tensor, "texts tokens width"]:
        """The states after all blocks."""
        for block in self.resblocks:
            states = block(states, attn_mask)
        return states


class TextTransformer(nn.Module):
    """Embeddings, blocks, the last layer norm and the projection, as CLIP initialises them.

    ``valm.embed.towers.networks.text_states`` is its forward pass.

    Args:
        context_length: Longest input, in tokens.
        vocab_size: Ids of the tokenizer.
        width: Width of the states.
        heads: Attention heads.
        layers: Blocks.
        output_dim: Width after the projection.
    """

    attn_mask: Tensor

    def __init__(
        self,
        *,
        context_length: int,
        vocab_size: int,
        width: int,
        heads: int,
        layers: int,
        output_dim: int,
    ):
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.empty(context_length, width))
        self.transformer = TextBlocks(width, layers, heads)
        self.ln_final = nn.LayerNorm(width)
        future = torch.full((context_length, context_length), float("-inf")).triu_(1)
        self.register_buffer("attn_mask", future, persistent=False)
        self.text_projection = nn.Parameter(torch.empty(width, output_dim))
        self._initialise(width, layers)

    def _initialise(self, width: int, layers: int) -> None:
        """Normal weights; what is added to the states is the smaller, the more layers add to them."""
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        added = width**-0.5 * (2 * layers) ** -0.5
        blocks: Any = self.transformer.resblocks
        for block in blocks:
            nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
            nn.init.normal_(block.attn.out_proj.weight, std=added)
            nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.c_proj.weight, std=added)
        nn.init.normal_(self.text_projection, std=width**-0.5)
