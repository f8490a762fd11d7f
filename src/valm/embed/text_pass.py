"""One pass of an open_clip text transformer over many windows, for encoding only: no gradients.

The states are those of ``towers.text_states``, up to rounding. open_clip's own blocks hand
``nn.MultiheadAttention`` a transposed view, which it multiplies window by window, with a copy of the weights
for each; here all windows of a batch are the rows of one matrix, the mask is a flag, and the
activation's constants ride on the products around it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float, Int
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor
from torch.nn import functional

from valm.embed.towers import text_states

QUICK = 1.702  # QuickGELU(x) = x sigmoid(1.702 x) = silu(1.702 x) / 1.702


class TextPass:
    """The pass through a text tower, in an element type of choice.

    Args:
        text: open_clip's text transformer, or a CLIP that keeps its parts itself. It is kept, and
            not copied, where it has the element type already.
        dtype: What is computed in. bfloat16 where the processor multiplies it faster.
    """

    def __init__(self, text: Any, dtype: torch.dtype):
        self._text = text
        if text.token_embedding.weight.dtype != dtype:
            self._text = _TextParts(text, dtype)

    @torch.inference_mode()
    def projected(self, ids: Int[Tensor, "windows tokens"]) -> Float[Tensor, "windows tokens key"]:
        """The state of every token, after the last layer norm and the text projection."""
        text = self._text
        if not all(type(block) is ResidualAttentionBlock for block in text.transformer.resblocks):
            return _projection(text_states(text, ids), text)
        windows, tokens = ids.shape
        embedded = text.token_embedding(ids) + text.positional_embedding[:tokens]
        states = embedded.flatten(0, 1)
        for block in text.transformer.resblocks:
            states = _through_block(block, states, windows)
        return _projection(text.ln_final(states), text).view(windows, tokens, -1)


class _TextParts:
    """A copy of the parts of a CLIP that read text, in another element type."""

    def __init__(self, text: Any, dtype: torch.dtype):
        self.token_embedding = deepcopy(text.token_embedding).to(dtype)
        self.transformer = deepcopy(text.transformer).to(dtype)
        self.ln_final = deepcopy(text.ln_final).to(dtype)
        self.positional_embedding = text.positional_embedding.detach().to(dtype)
        self.text_projection = text.text_projection.detach().to(dtype)
        self.attn_mask = text.attn_mask


def _projection(states: Tensor, text: Any) -> Tensor:
    projected: Tensor = states @ text.text_projection
    return projected


def _through_block(
    block: Any, states: Float[Tensor, "rows width"], windows: int
) -> Float[Tensor, "rows width"]:
    """A residual attention block; the rows are the tokens of all windows, one after the other."""
    attention = block.attn
    mixed = functional.linear(
        block.ln_1(states), attention.in_proj_weight, attention.in_proj_bias
    ).view(windows, -1, 3, attention.num_heads, attention.head_dim)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    states = states + block.ls_1(attention.out_proj(seen.transpose(1, 2).flatten(2).flatten(0, 1)))
    return states.add_(block.ls_2(_through_mlp(block.mlp, block.ln_2(states))))


def _through_mlp(mlp: Any, states: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
    if not isinstance(mlp.gelu, QuickGELU):
        through: Tensor = mlp(states)
        return through
    wide, narrow = mlp.c_fc, mlp.c_proj
    hidden = torch.addmm(wide.bias, states, wide.weight.T, beta=QUICK, alpha=QUICK)
    functional.silu(hidden, inplace=True)
    return torch.addmm(narrow.bias, hidden, narrow.weight.T, alpha=1 / QUICK)
