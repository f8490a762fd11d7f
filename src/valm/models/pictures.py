"""The pictures that each token is given: rows of a shared table, or vectors of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Pictures:
    """The K pictures of every token of a batch.

    Either ``table`` and ``ids`` are set (pictures that many tokens share) or ``vectors`` is (one
    vector for each place, such as the text-state control's).

    Attributes:
        mask: True where there is a picture; elsewhere the id or vector is never looked at.
        table: All picture values, one row a picture.
        ids: Rows of the table.
        vectors: The values themselves.
        standardised: The values have been through ``standardise`` already, once for all batches.
    """

    mask: Bool[Tensor, "batch tokens pictures"]
    table: Float[Tensor, "rows value"] | None = None
    ids: Int[Tensor, "batch tokens pictures"] | None = None
    vectors: Float[Tensor, "batch tokens pictures value"] | None = None
    standardised: bool = False

    def __post_init__(self) -> None:
        by_row = self.table is not None and self.ids is not None
        if by_row == (self.vectors is not None):
            raise ValueError("pictures are either a table with ids, or vectors")

    def values(self) -> Float[Tensor, "batch tokens pictures value"]:
        """The vectors at every place, arbitrary ones where there is no picture."""
        if self.vectors is not None:
            return self.vectors
        assert self.table is not None and self.ids is not None
        # A missing neighbour has id -1; any row does, because the mask hides it.
        return functional.embedding(self.ids.clamp(min=0), self.table)

    def standard_values(self) -> Float[Tensor, "batch tokens pictures value"]:
        """The vectors at every place, each with mean zero and variance one."""
        return self.values() if self.standardised else standardise(self.values())

    def masked(self, probability: float) -> Pictures:
        """The same pictures, but every token loses its own with a probability."""
        kept = torch.rand(self.mask.shape[:2], device=self.mask.device) >= probability
        return replace(self, mask=self.mask & kept.unsqueeze(-1))

    def of_last_token(self) -> Pictures:
        """The pictures of each text's last token, at every place."""
        spread: dict[str, Any] = {
            name: value[:, -1:].expand_as(value)
            for name, value in vars(self).items()
            if isinstance(value, Tensor) and name != "table"
        }
        return replace(self, **spread)

    def to(self, device: torch.device) -> Pictures:
        """The same pictures on a device; from pinned memory nobody waits."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def pinned(self) -> Pictures:
        """The same pictures in memory that a GPU reads while the CPU goes on; the table stays."""
        pinned: dict[str, Any] = {
            name: value.pin_memory()
            for name, value in vars(self).items()
            if isinstance(value, Tensor) and name != "table"
        }
        return replace(self, **pinned)


def standardise(values: Float[Tensor, "*places value"]) -> Float[Tensor, "*places value"]:
    """Give each vector mean zero and variance one, in float32 at least: a norm without parameters."""
    accurate = values.to(torch.promote_types(values.dtype, torch.float32))
    return functional.layer_norm(accurate, values.shape[-1:])
