"""Positions of tokens: fixed sinusoids in fairseq's layout, or learned vectors."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

# fairseq counts positions from after its padding entry, which is entry 1 (VALM.md 4.1).
FIRST_POSITION = 2


def sinusoidal_positions(length: int, width: int) -> Float[Tensor, "length width"]:
    """Sinusoids of the positions 2, 3, ...: all sines, then all cosines, float32.

    Frequencies fall geometrically from 1 to 1/10000; an odd width ends in a zero (VALM.md 4.1).
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000.0) / max(half - 1, 1)))
    angles = (torch.arange(length) + FIRST_POSITION).unsqueeze(1) * frequencies
    zeros = torch.zeros(length, width - 2 * half)
    return torch.cat([angles.sin(), angles.cos(), zeros], dim=1)
