"""Intervals and tests at the level of items: bootstrap, paired exchanges, Holm's correction.

Every score is a ratio of two sums over items (right answers over questions, nats over words), or
several such ratios (one a class), mapped by a function (none, exp, the mean over classes). Prompts
and seeds are averaged inside an item first, so that nine prompts about one banana are one
observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valm.errors import InputError

Floats = NDArray[np.float64]

# So many that a p-value survives Holm's correction over a hundred tests; drawn in blocks.
EXCHANGES, EXCHANGES_PER_BLOCK = 20_000, 1_000
ROUNDING = 1e-10  # relative; rounding must not tell two equal differences apart


@dataclass(frozen=True)
class ItemScores:
    """What each item adds to a score.

    Attributes:
        items: Names of the items, [n].
        numerators: [n], or [n, classes].
        denominators: Of the same shape.
        transform: Maps the ratio of the sums, or the ratios, to the score.
    """

    items: tuple[str, ...]
    numerators: Floats
    denominators: Floats
    transform: Callable[[Floats], Floats] = lambda ratio: ratio

    @property
    def value(self) -> float:
        """The score."""
        return float(self.score(self.numerators.sum(axis=0), self.denominators.sum(axis=0)))

    def score(self, numerators: Floats, denominators: Floats) -> Floats:
        """Scores of sums, [...] or [..., classes]; a ratio of nothing to nothing is NaN."""
        nothing = np.full(np.shape(numerators), np.nan)
        ratios = np.divide(numerators, denominators, out=nothing, where=denominators > 0)
        return np.asarray(self.transform(ratios))


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


def difference_interval(
    first: ItemScores, second: ItemScores, counts: Floats, confidence: float
) -> tuple[float, float]:
    """Percentile bootstrap interval of a difference: the same resample of items serves both."""
    return _percentiles(_scores(first, counts) - _scores(second, counts), confidence)


def paired_difference(
    first: ItemScores,
    second: ItemScores,
    counts: Floats,
    confidence: float,
    generator: np.random.Generator,
) -> Difference:
    """Interval by paired bootstrap; p by exchanging the two within items at random.

    The test (Fisher 1935) is exact under the hypothesis that the two are exchangeable within each
    item. For a mean over items it is the sign-flip test of the items' differences.

    Raises:
        InputError: The two have different items.
    """
    _check_same_items(first, second)
    low, high = difference_interval(first, second, counts, confidence)
    return Difference(first.value - second.value, low, high, _exchange_p(first, second, generator))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): adjusted p-values in the given order."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, place in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, running)
    return [float(p) for p in adjusted]


def _exchange_p(first: ItemScores, second: ItemScores, generator: np.random.Generator) -> float:
    """Two-sided p of the difference; the observed assignment counts as one draw."""
    slack = ROUNDING * (abs(first.value) + abs(second.value))
    observed = abs(first.value - second.value) - slack
    sums = [
        ((one + other).sum(axis=0) / 2, (one - other) / 2)
        for one, other in (
            (first.numerators, second.numerators),
            (first.denominators, second.denominators),
        )
    ]
    extreme, items = 1, len(first.items)
    for _ in range(EXCHANGES // EXCHANGES_PER_BLOCK):
        signs = 2.0 * generator.integers(2, size=(EXCHANGES_PER_BLOCK, items)) - 1.0
        swings = [(mean, signs @ half) for mean, half in sums]
        one = first.score(*(mean + swing for mean, swing in swings))
        other = first.score(*(mean - swing for mean, swing in swings))
        extreme += int((np.abs(one - other) >= observed).sum())
    return extreme / (1 + EXCHANGES)


def _check_same_items(first: ItemScores, second: ItemScores) -> None:
    if first.items != second.items:
        raise InputError(
            "two models were scored on different items and cannot be paired",
            cure="delete the evaluate phase's predictions and run the study again",
        )


def _scores(scores: ItemScores, counts: Floats) -> Floats:
    return scores.score(counts @ scores.numerators, counts @ scores.denominators)


def _percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)
