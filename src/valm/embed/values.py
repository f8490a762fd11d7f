"""What the language model reads of a picture: half its embedding, half its colours.

An embedding trained to tell names apart hides colours behind shapes; standardised colour shares,
laid beside it at equal strength, can be read. The text state gets the same form, with the colours
that the text tower predicts in place of the pixels', so that the control lacks the pictures only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from valm.config.base import Settings
from valm.core.seeding import derive_seed

SMALLEST_DEVIATION = 1e-3


class ValueSettings(Settings):
    """The form of values; each part can be switched off alone."""

    width: int = Field(192, ge=2, description="Width of a value.")
    colour_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the width and of the squared length that tells colours.",
    )
    standardise: bool = Field(
        True, description="Centre and scale each dimension over the pictures (or the text states)."
    )


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each dimension."""

    mean: Float[Tensor, " width"]
    deviation: Float[Tensor, " width"]

    @classmethod
    def of(cls, rows: Float[Tensor, "rows width"], standardise: bool) -> Scale:
        """The statistics of some rows, or none that change anything."""
        if not standardise:
            return cls(torch.zeros(rows.shape[1]), torch.ones(rows.shape[1]))
        return cls(rows.mean(dim=0), rows.std(dim=0).clamp(min=SMALLEST_DEVIATION))

    def apply(self, rows: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Centre and scale."""
        return (rows - self.mean) / self.deviation


def orthonormal(rows: int, columns: int, seed: int, name: str) -> Float[Tensor, "rows columns"]:
    """A fixed matrix whose shorter side is orthonormal: a projection that keeps distances."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "values", name))
    noise = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    matrix: Tensor = torch.linalg.qr(noise).Q
    return matrix if rows >= columns else matrix.T


@dataclass(frozen=True)
class ValueForm:
    """Maps an embedding and colour shares to a value.

    Attributes:
        embedding: [key_width, width of the embedding's part].
        colours: [colours, width of the colours' part].
        colour_scale: Statistics of the pictures' colours, for pictures and text states alike.
        settings: Widths and shares.
    """

    embedding: Float[Tensor, "key_width part"]
    colours: Float[Tensor, "colours part"]
    colour_scale: Scale
    settings: ValueSettings

    @classmethod
    def of(
        cls,
        key_width: int,
        shares: Float[Tensor, "pictures colours"],
        settings: ValueSettings,
        seed: int,
    ) -> ValueForm:
        """The form for a picture base; two fixed projections and the statistics of its colours."""
        for_colours = round(settings.width * settings.colour_share)
        return cls(
            orthonormal(key_width, settings.width - for_colours, seed, "embedding"),
            orthonormal(shares.shape[1], for_colours, seed, "colours"),
            Scale.of(shares.sqrt(), settings.standardise),
            settings,
        )

    def render(
        self,
        keys: Float[Tensor, "*rows key_width"],
        scale: Scale,
        shares: Float[Tensor, "*rows colours"],
    ) -> Float[Tensor, "*rows width"]:
        """Values of pictures or of text states.

        Args:
            keys: Unit keys.
            scale: Statistics of the keys: the pictures' or the text states' own.
            shares: Colour shares: of the pixels, or as the text tower predicts them.
        """
        told = self.colour_scale.apply(shares.sqrt()) @ self.colours
        known = scale.apply(keys) @ self.embedding
        # A standardised vector of n dimensions has squared length n: both parts get their share.
        strength = (self.settings.width * self.settings.colour_share / shares.shape[-1]) ** 0.5
        return torch.cat([known, strength * told], dim=-1)
