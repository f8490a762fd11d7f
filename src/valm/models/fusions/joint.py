"""Joint attention: one softmax over the past text and the token's own pictures (VALM.md 4.3).

The second-to-last layer reads the pictures, as in the paper. What the official code has beside its
paper is left out: dead projections, a softmax temperature that changes when pictures are off, and
missing pictures that are read as the table's last row.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional

from valm.models.branches import Branches
from valm.models.cache import LayerCache
from valm.models.fusion import Fusion, FusionParams
from valm.models.initialise import draw, draw_uniform
from valm.models.picture_products import match, mix
from valm.models.pictures import Pictures, standardise
from valm.models.trunk import AttentionWeights, Block, SelfAttention, TrunkConfig


class Params(FusionParams):
    """Parameters of joint attention."""

    scale: Literal["sqrt_d_head", "sqrt_d_model"] = Field(
        "sqrt_d_head",
        description="What logits are divided by, pictures or not; the official code: sqrt_d_model.",
    )
    layer_from_end: int = Field(2, ge=1, description="The layer that reads pictures; 1 = last.")
    null_image: bool = Field(
        False,
        description="A learned picture beside each token's own: what it looks at to look at none,"
        " and all that it sees where its own are missing or masked.",
    )


class PictureBias(nn.Module):
    """Biases of picture keys and values, where their weights are those of the text."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.empty(2 * width))


@draw.register
def _(module: PictureBias, name: str, parameter: Tensor, generator: Generator) -> None:
    draw_uniform(parameter, len(parameter) // 2, generator)


class NullImage(nn.Module):
    """A learned picture that every token is shown."""

    def __init__(self, value_width: int):
        super().__init__()
        self.vector = nn.Parameter(torch.empty(value_width))


@draw.register
def _(module: NullImage, name: str, parameter: Tensor, generator: Generator) -> None:
    parameter.normal_(generator=generator)


class PictureMap(NamedTuple):
    """The affine map from standardised picture vectors to the keys, or the values, of all heads."""

    weight: Float[Tensor, "heads head value"]
    bias: Float[Tensor, "heads head 1"]


class Shown(NamedTuple):
    """Standardised vectors that each token is shown, and where there is one."""

    vectors: Float[Tensor, "batch tokens pictures value"]
    mask: Bool[Tensor, "batch tokens pictures"]


class JointAttention(SelfAttention):
    """Attention of each token to the text before it and to its own pictures, in one softmax.

    Pictures of the trunk's width share the projections W_K and W_V with the text and have biases
    of their own; pictures of another width have their own projections.

    Args:
        null_image: Whether every token is shown a learned picture behind its own.
    """

    def __init__(
        self, config: TrunkConfig, value_width: int, scale: float, null_image: bool = False
    ):
        super().__init__(config, scale)
        self.null_image = NullImage(value_width) if null_image else None
        self.picture_norm = nn.LayerNorm(value_width)
        self.picture_key_value: PictureBias | nn.Linear
        if value_width == config.width:
            self.picture_key_value = PictureBias(config.width)
        else:
            self.picture_key_value = nn.Linear(value_width, 2 * config.width)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        pictures: Pictures | None = None,
        past: LayerCache | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """Mix each token's state with those that it sees and with its pictures, if there are any."""
        shown = self.shown(x, pictures)
        if shown is None:
            return super().forward(x, None, past, prefix)
        query, key, value = self.split(x, past)
        vectors = shown.vectors.to(query.dtype)
        to_key, to_value = self.picture_maps(query.dtype)
        text_logits = self.text_logits(query, key, prefix)
        weights = self.joint_weights(query, text_logits, vectors, shown.mask, to_key)
        weights = functional.dropout(weights, self.dropout, self.training)
        text, seen = torch.split(weights, [key.shape[2], vectors.shape[2]], dim=-1)
        by_place = seen.transpose(1, 2).flatten(0, 1).to(vectors.dtype)
        mixed = mix(by_place, vectors.flatten(0, 1), *to_value)
        return self.leave(text @ value + mixed.view(query.transpose(0, 1).shape).transpose(0, 1))

    def weights(
        self,
        x: Float[Tensor, "batch tokens width"],
        pictures: Pictures | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> AttentionWeights:
        """Where each token looks: at the text and at its own pictures, in one softmax."""
        shown = self.shown(x, pictures)
        if shown is None:
            return super().weights(x, None, prefix)
        query, key, _ = self.split(x)
        vectors = shown.vectors.to(query.dtype)
        to_key, _ = self.picture_maps(query.dtype)
        text_logits = self.text_logits(query, key, prefix)
        weights = self.joint_weights(query, text_logits, vectors, shown.mask, to_key)
        own = 0 if pictures is None else pictures.mask.shape[2]
        return AttentionWeights(
            *torch.split(weights, [x.shape[1], own, vectors.shape[2] - own], dim=-1)[:2]
        )

    def shown(
        self, x: Float[Tensor, "batch tokens width"], pictures: Pictures | None
    ) -> Shown | None:
        """All that each token is shown: its own pictures, then the null image if there is one."""
        own = None if pictures is None else Shown(pictures.standard_values(), pictures.mask)
        if self.null_image is None:
            return own
        vector = standardise(self.null_image.vector).expand(*x.shape[:2], 1, -1)
        null = Shown(vector, torch.ones_like(vector[..., 0], dtype=torch.bool))
        if own is None:
            return null
        return Shown(*(torch.cat(parts, dim=2) for parts in zip(own, null, strict=True)))

    def picture_maps(self, dtype: torch.dtype) -> tuple[PictureMap, PictureMap]:
        """Maps to keys and to values, with the picture norm's gain and bias folded in.

        W (gain * z + shift) + b = (W * gain) z + (W shift + b) for a standardised vector z.
        """
        width = self.query_key_value.in_features
        own = self.picture_key_value
        weight = own.weight if isinstance(own, nn.Linear) else self.query_key_value.weight[width:]
        bias = torch.addmv(own.bias, weight, self.picture_norm.bias)
        weight = (weight * self.picture_norm.weight).to(dtype)
        key_weight, value_weight = weight.view(2, self.heads, -1, weight.shape[1])
        key_bias, value_bias = bias.to(dtype).view(2, self.heads, -1, 1)
        return PictureMap(key_weight, key_bias), PictureMap(value_weight, value_bias)

    def joint_weights(
        self,
        query: Float[Tensor, "batch heads tokens head"],
        text_logits: Float[Tensor, "batch heads tokens keys"],
        vectors: Float[Tensor, "batch tokens pictures value"],
        mask: Bool[Tensor, "batch tokens pictures"],
        to_key: PictureMap,
    ) -> Float[Tensor, "batch heads tokens keys_and_pictures"]:
        """The softmax over the logits of text and pictures side by side."""
        by_head = query.transpose(0, 1).flatten(1, 2)
        products = match(by_head, vectors.flatten(0, 1), *to_key) * self.scale
        products = products.view(*mask.shape[:2], self.heads, -1).transpose(1, 2)
        seen = products.masked_fill(~mask.unsqueeze(1), float("-inf"))
        return torch.cat([text_logits, seen], dim=-1).softmax(dim=-1)


class Joint(Fusion):
    """Joint attention in one layer, the second-to-last by default."""

    parameters = Params
    params: Params

    def block(self, layer: int, trunk: TrunkConfig, value_width: int) -> Block | None:
        """The joint block at the chosen layer (VALM.md 4.2)."""
        if layer != trunk.layers - self.params.layer_from_end:
            return None
        width = trunk.width if self.params.scale == "sqrt_d_model" else trunk.head_width
        scale, null = width**-0.5, self.params.null_image
        return Block(trunk, JointAttention(trunk, value_width, scale, null))


PLUGIN = Joint
