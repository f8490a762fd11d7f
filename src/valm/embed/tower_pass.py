"""One pass of a tower's transformer, ours or open_clip's, over a batch, for encoding only: no gradients.

The states are those of the modules' own passes, up to rounding. The blocks hand
``nn.MultiheadAttention`` a transposed view, which it multiplies sample by sample, with a copy of the weights
for each; here all tokens of a batch are the rows of one matrix, the causal mask is a flag, and the
activation's constants ride on the products around it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from valm.embed.towers.networks import text_states
from valm.embed.towers.text_transformer import TextBlock

QUICK = 1.702  # QuickGELU(x) = x sigmoid(1.702 x) = silu(1.702 x) / 1.702


class TextPass:
    """The pass through a text tower, in an element type of choice.

    Args:
        text: A text transformer, ours or open_clip's, or a CLIP that keeps its parts itself. It is kept, and
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
        if not _is_plain(text.transformer):
            states = text_states(text, ids)
        else:
            embedded = text.token_embedding(ids) + text.positional_embedding[: ids.shape[1]]
            states = text.ln_final(_through_blocks(text.transformer, embedded, causal=True))
        projected: Tensor = states @ text.text_projection
        return projected


class _TextParts:
    """A copy of the parts of a CLIP that read text, in another element type."""

    def __init__(self, text: Any, dtype: torch.dtype):
        self.token_embedding = deepcopy(text.token_embedding).to(dtype)
        self.transformer = deepcopy(text.transformer).to(dtype)
        self.ln_final = deepcopy(text.ln_final).to(dtype)
        self.positional_embedding = text.positional_embedding.detach().to(dtype)
        self.text_projection = text.text_projection.detach().to(dtype)
        self.attn_mask = text.attn_mask


@torch.inference_mode()
def picture_vectors(
    model: Any, inputs: Float[Tensor, "pictures 3 side side"]
) -> Float[Tensor, "pictures key"]:
    """The vectors that a CLIP gives to pictures, not normalised."""
    from open_clip.transformer import VisionTransformer

    visual = model.visual
    if type(visual) is not VisionTransformer or not _is_plain(visual.transformer):
        vectors: Tensor = model.encode_image(inputs)
        return vectors
    states = _through_blocks(visual.transformer, visual._embeds(inputs), causal=False)
    pooled: Tensor = visual._pool(states)[0]
    return pooled if visual.proj is None else pooled @ visual.proj


def _is_plain(transformer: Any) -> bool:
    """Whether all blocks are those that ``_through_block`` takes apart."""
    kinds = {type(block) for block in transformer.resblocks}
    if kinds == {TextBlock}:
        return True
    from open_clip.transformer import ResidualAttentionBlock  # seconds, which our own towers save

    return kinds == {ResidualAttentionBlock}


def _through_blocks(
    transformer: Any, states: Float[Tensor, "samples tokens width"], *, causal: bool
) -> Float[Tensor, "samples tokens width"]:
    rows = states.flatten(0, 1)
    for block in transformer.resblocks:
        rows = _through_block(block, rows, len(states), causal)
    return rows.view(states.shape)


def _through_block(
    block: Any, states: Float[Tensor, "rows width"], samples: int, causal: bool
) -> Float[Tensor, "rows width"]:
    """A residual attention block; the rows are the tokens of all samples, one after the other."""
    attention = block.attn
    mixed = functional.linear(
        block.ln_1(states), attention.in_proj_weight, attention.in_proj_bias
    ).view(samples, -1, 3, attention.num_heads, attention.head_dim)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
    states = states + block.ls_1(attention.out_proj(seen.transpose(1, 2).flatten(2).flatten(0, 1)))
    return states.add_(block.ls_2(_through_mlp(block.mlp, block.ln_2(states))))


def _is_quick(activation: nn.Module) -> bool:
    """Whether it is x sigmoid(1.702 x), as OpenAI's CLIPs have it."""
    if type(activation) is nn.GELU:
        return False
    from open_clip.transformer import QuickGELU

    return isinstance(activation, QuickGELU)


def _through_mlp(mlp: Any, states: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
    if not _is_quick(mlp.gelu):
        through: Tensor = mlp(states)
        return through
    wide, narrow = mlp.c_fc, mlp.c_proj
    hidden = torch.addmm(wide.bias, states, wide.weight.T, beta=QUICK, alpha=QUICK)
    functional.silu(hidden, inplace=True)
    return torch.addmm(narrow.bias, hidden, narrow.weight.T, alpha=1 / QUICK)
