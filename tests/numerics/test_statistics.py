"""Intervals cover what they claim, tests are exact, corrections are the textbook's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from valm.errors import InputError
from valm.evaluate.scores import statistics
from valm.evaluate.scores.metrics import SCORERS
from valm.evaluate.scores.statistics import (
    EXCHANGES,
    ItemScores,
    difference_interval,
    holm,
    interval,
    paired_difference,
    pooled,
    resamples,
)

CONFIDENCE = 0.95
RUNS = 400


def scores(numerators: list[float] | np.ndarray, denominators: object = None) -> ItemScores:
    numerators = np.asarray(numerators, dtype=np.float64)
    names = tuple(map(str, range(len(numerators))))
    units = np.ones(len(numerators)) if denominators is None else np.asarray(denominators, float)
    return ItemScores(names, numerators, units)


def covered_share(draw: Callable[[np.random.Generator], ItemScores], truth: float) -> float:
    hits = 0
    for run in range(RUNS):
        generator = np.random.default_rng(run)
        mine = draw(generator)
        counts = resamples(len(mine.items), 300, generator)
        low, high = interval(mine, counts, CONFIDENCE)
        hits += low <= truth <= high
    return hits / RUNS


# The share of hits is binomial: three standard errors, 3.3 points, on either side.
NOMINAL = pytest.approx(CONFIDENCE, abs=3 * (CONFIDENCE * (1 - CONFIDENCE) / RUNS) ** 0.5)


def test_an_interval_of_accuracies_covers_the_truth_as_often_as_it_says() -> None:
    """Items differ in how easy they are; nine prompts about one are one observation."""

    def draw(generator: np.random.Generator) -> ItemScores:
        easy = generator.beta(1, 2, size=120)
        return scores(generator.binomial(9, easy) / 9)

    assert covered_share(draw, truth=1 / 3) == NOMINAL


def test_an_interval_of_perplexities_covers_the_truth_as_often_as_it_says() -> None:
    """A ratio of sums over passages of very different lengths, seen through exp."""

    def draw(generator: np.random.Generator) -> ItemScores:
        words = generator.integers(5, 60, size=200)
        nats = words * generator.normal(4.0, 0.6, size=200)
        mine = scores(nats, words)
        return ItemScores(mine.items, mine.numerators, mine.denominators, np.exp)

    assert covered_share(draw, truth=float(np.exp(4.0))) == NOMINAL


def shape_answers(generator: np.random.Generator, gold: np.ndarray | None = None) -> ItemScores:
    """Macro-F1 of three classes, one of them rare, that are guessed with five prompts."""
    gold = generator.choice(3, size=150, p=[0.6, 0.3, 0.1]) if gold is None else gold
    items = len(gold)
    frame = pl.DataFrame(
        {
            "item": np.repeat([str(n) for n in range(items)], 5),
            "prompt": [str(n % 5) for n in range(5 * items)],
            "answer": np.repeat(gold, 5),
            "part": "",
        }
    )
    said = np.eye(3)[np.repeat(gold, 5)] + generator.gumbel(0, 0.6, (5 * items, 3))
    return SCORERS["macro_f1"](
        frame.with_columns(**{f"choice_{n}": said[:, n] for n in range(3)}), ""
    )[0]


def test_an_interval_of_macro_f1_covers_the_truth_as_often_as_it_says() -> None:
    many = np.repeat(np.arange(3), [120_000, 60_000, 20_000])
    truth = shape_answers(np.random.default_rng(10**6), many).value
    assert covered_share(shape_answers, truth) == NOMINAL


def test_an_interval_of_a_difference_covers_the_truth_as_often_as_it_says() -> None:
    """Two models, the first better by 0.1 at every item; seeds are averaged inside items."""
    hits = 0
    for run in range(RUNS):
        generator = np.random.default_rng(run)
        easy = generator.beta(2, 3, size=120) * 0.9
        first = pooled([scores(generator.binomial(9, easy + 0.1) / 9) for _ in range(2)])
        second = pooled([scores(generator.binomial(9, easy) / 9) for _ in range(2)])
        counts = resamples(120, 300, generator)
        low, high = difference_interval(first, second, counts, CONFIDENCE)
        hits += low <= 0.1 <= high
    assert hits / RUNS == NOMINAL


def test_a_paired_test_rejects_a_true_hypothesis_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "EXCHANGES", 2_000)
    p_values = []
    for run in range(300):
        generator = np.random.default_rng(run)
        easy = generator.beta(1, 2, size=60)
        first, second = (scores(generator.binomial(9, easy) / 9) for _ in range(2))
        counts = resamples(60, 2, generator)
        p_values.append(paired_difference(first, second, counts, CONFIDENCE, generator).p)
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.04)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("gaps", [[1.0, 2.0, -0.5, 0.25, 3.0, 1.5], [0.5, -0.5, 1.0, 1.0]])
def test_the_exchange_p_is_that_of_all_sign_patterns(gaps: list[float]) -> None:
    sums = [abs(np.dot(signs, gaps)) for signs in product((-1, 1), repeat=len(gaps))]
    exact = np.mean(np.array(sums) >= abs(sum(gaps)) - 1e-12)
    generator = np.random.default_rng(1)
    counts = resamples(len(gaps), 100, generator)
    second = np.zeros(len(gaps))
    found = paired_difference(scores(gaps), scores(second), counts, CONFIDENCE, generator)
    four_errors = 4 * (exact * (1 - exact) / EXCHANGES) ** 0.5
    assert found.p == pytest.approx(exact, abs=four_errors + 1 / EXCHANGES)
    assert found.value == pytest.approx(np.mean(gaps))


def test_scores_that_are_no_mean_are_tested_by_exchanging_whole_items() -> None:
    """Against all 2^n exchanges of two models' answers, for macro-F1."""
    gold = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    first, second = (shape_answers(np.random.default_rng(seed), gold) for seed in (1, 2))
    observed = abs(first.value - second.value)
    gaps = []
    for kept in product((True, False), repeat=8):
        keep = np.array(kept)[:, None]
        one, other = (
            first.score(
                np.where(keep, a.numerators, b.numerators).sum(0),
                np.where(keep, a.denominators, b.denominators).sum(0),
            )
            for a, b in ((first, second), (second, first))
        )
        gaps.append(abs(one - other))
    exact = np.mean(np.array(gaps) >= observed - 1e-9)
    generator = np.random.default_rng(1)
    counts = resamples(8, 100, generator)
    found = paired_difference(first, second, counts, CONFIDENCE, generator)
    assert found.p == pytest.approx(exact, abs=4 * (exact * (1 - exact) / EXCHANGES) ** 0.5 + 1e-4)


def test_equal_models_differ_by_nothing() -> None:
    generator = np.random.default_rng(3)
    mine = scores(generator.random(50))
    counts = resamples(50, 200, generator)
    found = paired_difference(mine, mine, counts, CONFIDENCE, generator)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_sure_difference_survives_the_correction_over_a_hundred_tests() -> None:
    generator = np.random.default_rng(4)
    second = generator.random(100) / 2
    counts = resamples(100, 100, generator)
    found = paired_difference(scores(second + 0.4), scores(second), counts, CONFIDENCE, generator)
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.4))
    assert holm([found.p] + [1.0] * 99)[0] < 0.01


def test_a_paired_interval_uses_the_same_resample_for_both() -> None:
    """Two models that are good at the same items differ by less than their own intervals say."""
    generator = np.random.default_rng(5)
    first = generator.random(80)
    counts = resamples(80, 1000, generator)
    second = first + generator.normal(0, 0.01, size=80)
    paired = paired_difference(scores(first), scores(second), counts, CONFIDENCE, generator)
    low, high = interval(scores(first), counts, CONFIDENCE)
    assert paired.high - paired.low < (high - low) / 10


def test_models_with_other_items_are_not_paired() -> None:
    counts = resamples(2, 10, np.random.default_rng(0))
    other = ItemScores(("1", "0"), np.ones(2), np.ones(2))
    with pytest.raises(InputError, match="different items"):
        paired_difference(scores([1, 1]), other, counts, CONFIDENCE, np.random.default_rng(0))
    with pytest.raises(InputError, match="different items"):
        pooled([scores([1, 1]), other])


def test_seeds_are_averaged_inside_an_item() -> None:
    mean = pooled([scores([1.0, 0.0]), scores([0.0, 0.0])])
    np.testing.assert_array_equal(mean.numerators, [0.5, 0.0])
    assert mean.value == 0.25


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, made monotone: .04 .06 .06 .06.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
