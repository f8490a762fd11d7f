"""The causality gate: what changes at one token must leave all logits before it as they were."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Read = Callable[[int | None], Tensor]


def places_seen_ahead(read: Read, tokens: int) -> list[int]:
    """The places of a text whose change reaches back: none, if nothing looks ahead.

    Args:
        read: Logits [..., tokens, vocabulary] of a text (None), or of the same text with something
            else at one place: another token, with all that follows from it, or other pictures.
        tokens: Length of the text.
    """
    before = read(None)
    return [
        place
        for place in range(tokens)
        if not torch.equal(read(place)[..., :place, :], before[..., :place, :])
    ]
