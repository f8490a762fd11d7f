"""Intervals and tests at the level of items: bootstrap, paired sign flips, Holm's correction.

Every score is a ratio of two sums over items (right answers over questions, nats over words),
mapped by a monotone function (none, or exp). Prompts and seeds are averaged inside an item first,
so that nine prompts about one banana are one observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ItemScores:
    """What each item adds to a score.

    Attributes:
        items: Names of the items, [n].
        numerators: [n].
        denominators: [n].
        transform: Maps the ratio of the sums to the score.
    """

    items: tuple[str, ...]
    numerators: Floats
    denominators: Floats
    transform: Callable[[Floats], Floats] = lambda ratio: ratio

    @property
    def value(self) -> float:
        """The score."""
        ratio = self.numerators.sum() / self.denominators.sum()
        return float(self.transform(np.asarray(ratio)))


@dataclass(frozen=True)
class Difference:
    """The difference of two scores on the same items, first minus second."""

    value: float
    low: float
    high: float
    p: float


def pooled(seeds: Sequence[ItemScores]) -> ItemScores:
    """The mean over seeds inside each item."""
    first = seeds[0]
    return ItemScores(
        first.items,
        np.mean([scores.numerators for scores in seeds], axis=0),
        np.mean([scores.denominators for scores in seeds], axis=0),
        first.transform,
    )


def interval(
    scores: ItemScores, samples: int, confidence: float, generator: np.random.Generator
) -> tuple[float, float]:
    """Percentile bootstrap interval of a score (Efron 1979), items drawn with replacement."""
    counts = _resamples(len(scores.items), samples, generator)
    return _percentiles(_scores(scores, counts), confidence)


def paired_difference(
    first: ItemScores,
    second: ItemScores,
    samples: int,
    confidence: float,
    generator: np.random.Generator,
) -> Difference:
    """Interval by paired bootstrap; p by flipping the sign of each item's difference.

    The same resample of items serves both scores. The sign-flip test (Fisher 1935) is exact under
    the hypothesis that the two are exchangeable within each item.
    """
    counts = _resamples(len(first.items), samples, generator)
    low, high = _percentiles(_scores(first, counts) - _scores(second, counts), confidence)
    gaps = first.numerators - second.numerators
    signs = generator.choice((-1.0, 1.0), size=(samples, len(gaps)))
    # Rounding must not tell two equal sums apart.
    extreme = np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12
    p = (1 + int(extreme.sum())) / (1 + samples)
    return Difference(first.value - second.value, low, high, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): adjusted p-values in the given order."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, place in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, running)
    return [float(p) for p in adjusted]


def _resamples(items: int, samples: int, generator: np.random.Generator) -> Floats:
    """How often each item is drawn in each resample, [samples, items]."""
    return generator.multinomial(items, np.full(items, 1 / items), size=samples).astype(np.float64)


def _scores(scores: ItemScores, counts: Floats) -> Floats:
    ratio = (counts @ scores.numerators) / np.maximum(counts @ scores.denominators, 1e-300)
    return scores.transform(ratio)


def _percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)
