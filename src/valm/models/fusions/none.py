"""No pictures: the plain trunk, GPT-2* of the paper."""

from __future__ import annotations

from valm.models.fusion import Fusion
from valm.models.trunk import TrunkConfig


class NoFusion(Fusion):
    """Every block is the trunk's own."""

    reads_pictures = False

    def block(self, layer: int, trunk: TrunkConfig, value_width: int) -> None:
        """No layer reads pictures."""


PLUGIN = NoFusion
