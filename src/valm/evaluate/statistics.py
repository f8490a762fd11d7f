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

from valm.errors import InputError

Floats = NDArray[np.float64]

# So many that a p-value survives Holm's correction over a hundred tests; drawn in blocks.
SIGN_FLIPS, FLIPS_PER_BLOCK = 20_000, 1_000


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
    """The mean over seeds inside each item.

    Raises:
        InputError: The seeds have different items.
    """
    first = seeds[0]
    for other in seeds[1:]:
        _check_same_items(first, other)
    return ItemScores(
        first.items,
        np.mean([scores.numerators for scores in seeds], axis=0),
        np.mean([scores.denominators for scores in seeds], axis=0),
        first.transform,
    )


def resamples(items: int, samples: int, generator: np.random.Generator) -> Floats:
    """How often each item is drawn in each resample with replacement, [samples, items].

    All models share them, so that their intervals and differences rest on the same draws.
    """
    return generator.multinomial(items, np.full(items, 1 / items), size=samples).astype(np.float64)


def interval(scores: ItemScores, counts: Floats, confidence: float) -> tuple[float, float]:
    """Percentile bootstrap interval of a score (Efron 1979) over some resamples."""
    return _percentiles(_scores(scores, counts), confidence)


def paired_difference(
    first: ItemScores,
    second: ItemScores,
    counts: Floats,
    confidence: float,
    generator: np.random.Generator,
) -> Difference:
    """Interval by paired bootstrap; p by flipping the sign of each item's difference.

    The same resample of items serves both scores. The sign-flip test (Fisher 1935) is exact under
    the hypothesis that the two are exchangeable within each item; it needs equal denominators.

    Raises:
        InputError: The two have different items or denominators.
    """
    _check_same_items(first, second)
    low, high = _percentiles(_scores(first, counts) - _scores(second, counts), confidence)
    p = _sign_flip_p(first.numerators - second.numerators, generator)
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


def _sign_flip_p(gaps: Floats, generator: np.random.Generator) -> float:
    """Two-sided p of the sum of paired differences; the observed signs count as one draw."""
    # Rounding must not tell two equal sums apart.
    observed = abs(gaps.sum()) - 1e-12 * np.abs(gaps).sum()
    extreme = 1
    for _ in range(SIGN_FLIPS // FLIPS_PER_BLOCK):
        signs = 2.0 * generator.integers(2, size=(FLIPS_PER_BLOCK, len(gaps))) - 1.0
        extreme += int((np.abs(signs @ gaps) >= observed).sum())
    return extreme / (1 + SIGN_FLIPS)


def _check_same_items(first: ItemScores, second: ItemScores) -> None:
    same = np.array_equal(first.denominators, second.denominators)
    if first.items != second.items or not same:
        raise InputError(
            "two models were scored on different items and cannot be paired",
            cure="delete the evaluate phase's predictions and run the study again",
        )


def _scores(scores: ItemScores, counts: Floats) -> Floats:
    ratio = (counts @ scores.numerators) / np.maximum(counts @ scores.denominators, 1e-300)
    return scores.transform(ratio)


def _percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)
