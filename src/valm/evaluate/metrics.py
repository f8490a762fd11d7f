"""From answers to what each item adds to a metric; every metric is a ratio of sums over items.

Also what needs no model: the chance level and the score of the best constant answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.evaluate.statistics import Floats, ItemScores

CHOICE = "choice_"
LARGER_FIRST, SMALLER_FIRST = "larger_first", "smaller_first"
ALONE, SLIDING = "alone", "sliding"


@dataclass(frozen=True)
class Baselines:
    """Scores without a model; None where there is no such thing."""

    chance: float | None
    majority: float | None


@dataclass(frozen=True)
class Answers:
    """Right or wrong, [items, prompts], with the items' classes.

    Attributes:
        items: Names, in order of first appearance.
        prompts: Names, likewise.
        right: bool [items, prompts].
        answers: Place of the right answer of each item, [items].
        choices: Number of candidates.
    """

    items: tuple[str, ...]
    prompts: tuple[str, ...]
    right: NDArray[np.bool_]
    answers: NDArray[np.int64]
    choices: int


def candidate_scores(
    frame: pl.DataFrame, part: str, calibrate: bool
) -> tuple[pl.DataFrame, Floats]:
    """The questions of a part, and how likely each candidate is, [questions, candidates].

    Args:
        frame: One model's answers under one control, from one seed.
        calibrate: Subtract each candidate's mean log-probability under the prompt's content-free
            questions (contextual calibration, Zhao et al. 2021).
    """
    columns = [column for column in frame.columns if column.startswith(CHOICE)]
    asked = frame.filter((pl.col("part") == part) & (pl.col("answer") >= 0))
    scores = asked.select(columns).to_numpy().astype(np.float64)
    if calibrate:
        free = frame.filter(pl.col("answer") < 0).group_by("prompt").agg(pl.col(columns).mean())
        offsets = {row["prompt"]: [row[c] for c in columns] for row in free.to_dicts()}
        nothing = [0.0] * len(columns)
        scores -= np.array([offsets.get(prompt, nothing) for prompt in asked["prompt"]])
    return asked, scores


def answers_of(frame: pl.DataFrame, part: str, calibrate: bool) -> Answers:
    """Take the most likely candidate of each question of a part; see ``candidate_scores``."""
    asked, scores = candidate_scores(frame, part, calibrate)
    items = tuple(asked["item"].unique(maintain_order=True))
    prompts = tuple(asked["prompt"].unique(maintain_order=True))
    shape = (len(items), len(prompts))
    row = asked["item"].replace_strict({name: n for n, name in enumerate(items)}).to_numpy()
    column = asked["prompt"].replace_strict({name: n for n, name in enumerate(prompts)}).to_numpy()
    right = np.zeros(shape, dtype=np.bool_)
    right[row, column] = scores.argmax(axis=1) == asked["answer"].to_numpy()
    answers = np.zeros(len(items), dtype=np.int64)
    answers[row] = asked["answer"].to_numpy()
    return Answers(items, prompts, right, answers, scores.shape[1])


Scored = tuple[ItemScores, Baselines]


def raw(frame: pl.DataFrame, part: str) -> Scored:
    """Micro-average over prompts and items, as published."""
    return _accuracy(answers_of(frame, part, calibrate=False))


def calibrated(frame: pl.DataFrame, part: str) -> Scored:
    """Micro-average after contextual calibration."""
    return _accuracy(answers_of(frame, part, calibrate=True))


def balanced(frame: pl.DataFrame, part: str) -> Scored:
    """Calibrated accuracy averaged over classes: each item weighs one over its class's size."""
    answers = answers_of(frame, part, calibrate=True)
    sizes = np.bincount(answers.answers, minlength=answers.choices)
    weights = 1 / sizes[answers.answers]
    scores = ItemScores(answers.items, weights * answers.right.mean(axis=1), weights)
    return scores, Baselines(1 / answers.choices, 1 / int((sizes > 0).sum()))


def larger_first(frame: pl.DataFrame, part: str) -> Scored:
    """The published size metric: always answering yes scores 1."""
    answers = answers_of(frame, LARGER_FIRST, calibrate=False)
    return _means(answers, answers.right.mean(axis=1)), Baselines(0.5, 1.0)


def both_orders(frame: pl.DataFrame, part: str) -> Scored:
    """Right answers over both orders of a pair."""
    first, second = _orders(frame)
    share = (first.right.mean(axis=1) + second.right.mean(axis=1)) / 2
    return _means(first, share), Baselines(0.5, 0.5)


def pair_consistency(frame: pl.DataFrame, part: str) -> Scored:
    """Pairs and prompts that are right in both orders; a constant answer never is."""
    first, second = _orders(frame)
    return _means(first, (first.right & second.right).mean(axis=1)), Baselines(0.25, 0.0)


def token_perplexity(frame: pl.DataFrame, part: str) -> Scored:
    """Perplexity a token, blocks scored alone."""
    return _perplexity(frame, part, ALONE, "tokens")


def word_perplexity(frame: pl.DataFrame, part: str) -> Scored:
    """Perplexity a word, sliding context."""
    return _perplexity(frame, part, SLIDING, "words")


def last_piece(frame: pl.DataFrame, part: str) -> Scored:
    """Last tokens that are the most likely ones."""
    return _last_words(frame, part, "last_piece")


def whole_word(frame: pl.DataFrame, part: str) -> Scored:
    """Last words of which every piece is the most likely one."""
    return _last_words(frame, part, "whole_word")


SCORERS: Mapping[str, Callable[[pl.DataFrame, str], Scored]] = {
    function.__name__: function
    for function in (
        raw, calibrated, balanced, larger_first, both_orders, pair_consistency,
        token_perplexity, word_perplexity, last_piece, whole_word,
    )
}  # fmt: skip
CALIBRATED = ("calibrated", "balanced")
PER_PROMPT = ("raw", "calibrated")
PERPLEXITIES = ("token_perplexity", "word_perplexity")


def _accuracy(answers: Answers) -> Scored:
    sizes = np.bincount(answers.answers, minlength=answers.choices)
    baselines = Baselines(1 / answers.choices, float(sizes.max() / sizes.sum()))
    return _means(answers, answers.right.mean(axis=1)), baselines


def _means(answers: Answers, shares: Floats) -> ItemScores:
    return ItemScores(answers.items, shares, np.ones(len(shares)))


def _orders(frame: pl.DataFrame) -> tuple[Answers, Answers]:
    first, second = (
        answers_of(frame, part, calibrate=False) for part in (LARGER_FIRST, SMALLER_FIRST)
    )
    assert first.items == second.items and first.prompts == second.prompts
    return first, second


def _perplexity(frame: pl.DataFrame, part: str, context: str, unit: str) -> Scored:
    rows = frame.filter((pl.col("part") == part) & (pl.col("context") == context))
    nats, units = (rows[column].to_numpy().astype(np.float64) for column in ("nats", unit))
    return ItemScores(tuple(rows["item"]), nats, units, np.exp), Baselines(None, None)


def _last_words(frame: pl.DataFrame, part: str, column: str) -> Scored:
    rows = frame.filter((pl.col("part") == part) & (pl.col("context") == SLIDING))
    right = rows[column].to_numpy().astype(np.float64)
    return ItemScores(tuple(rows["item"]), right, np.ones(len(right))), Baselines(None, None)
