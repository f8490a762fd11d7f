"""The learning rate's course over the steps of a tower's training."""

from __future__ import annotations

import math

WARM_UP_SHARE = 0.06


def cosine_share(step: int, steps: int) -> float:
    """The share of the peak learning rate at a step from 1: linear warm-up, then cosine to zero."""
    done = step / (steps + 1)
    if done < WARM_UP_SHARE:
        return done / WARM_UP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))
