"""What the picture tower reads: principal components of the network's features, and colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from valm.embed.features.layout import NETWORK_WIDTH
from valm.embed.values import Scale

PREFIX = "inputs."
POWER_ITERATIONS = 4


@dataclass(frozen=True)
class TowerInputs:
    """The reduction of a picture base's features, fitted on that base.

    Attributes:
        features: Statistics of the network's features.
        components: [network width, components], orthonormal.
        spread: Statistics of the components.
        colours: Statistics of the square roots of the colour shares.
    """

    features: Scale
    components: Float[Tensor, "features components"]
    spread: Scale
    colours: Scale

    @classmethod
    def of(cls, features: Float[Tensor, "pictures features"], components: int) -> TowerInputs:
        """Fit on all pictures of the base; no more components than there are pictures."""
        network, shares = features[:, :NETWORK_WIDTH], features[:, NETWORK_WIDTH:]
        scale = Scale.of(network, standardise=True)
        standard = scale.apply(network)
        count = min(components, *standard.shape)
        found = torch.pca_lowrank(standard, q=count, center=False, niter=POWER_ITERATIONS)[2]
        spread = Scale.of(standard @ found, standardise=True)
        return cls(scale, found, spread, Scale.of(shares.sqrt(), standardise=True))

    def reduced(
        self, features: Float[Tensor, "pictures features"]
    ) -> Float[Tensor, "pictures inputs"]:
        """Standardised components and standardised colours."""
        network, shares = features[:, :NETWORK_WIDTH], features[:, NETWORK_WIDTH:]
        components = self.spread.apply(self.features.apply(network) @ self.components)
        return torch.cat([components, self.colours.apply(shares.sqrt())], dim=-1)

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, to be saved."""
        scales = {"features": self.features, "spread": self.spread, "colours": self.colours}
        parts = {f"{PREFIX}components": self.components}
        for name, scale in scales.items():
            parts |= {f"{PREFIX}{name}.mean": scale.mean}
            parts |= {f"{PREFIX}{name}.deviation": scale.deviation}
        return parts

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> TowerInputs:
        """What ``tensors`` gave."""

        def scale(name: str) -> Scale:
            mean, deviation = (tensors[f"{PREFIX}{name}.{part}"] for part in ("mean", "deviation"))
            return Scale(mean, deviation)

        components = tensors[f"{PREFIX}components"]
        return cls(scale("features"), components, scale("spread"), scale("colours"))
