"""From answers to what each item adds to a metric; every metric is a ratio of sums over items.

Also what needs no model: the chance level and the score of the best constant answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.evaluate.scores.statistics import Floats, ItemScores

CHOICE, FIRST_PIECE = "choice_", "first_piece_"
LARGER_FIRST, SMALLER_FIRST = "larger_first", "smaller_first"
ALONE, SLIDING = "alone", "sliding"
LONGEST_LINE = (
    512  # tokens, the end of text included; fairseq leaves a longer line out (VALM.md 6.7)
)


@dataclass(frozen=True)
class Baselines:
    """Scores without a model; None where there is no such thing."""

    chance: float | None
    majority: float | None


@dataclass(frozen=True)
class Reading:
    """How candidates are compared.

    Attributes:
        first_piece: By their first tokens alone, where some have several.
        calibrate: After subtracting each candidate's mean log-probability under the prompt's
            content-free questions (contextual calibration, Zhao et al. 2021; PMI).
    """

    first_piece: bool = False
    calibrate: bool = False


AS_PUBLISHED, AS_IT_IS, CALIBRATED = Reading(first_piece=True), Reading(), Reading(calibrate=True)


@dataclass(frozen=True)
class Answers:
    """What was said to each item under each prompt, with the items' classes.

    Attributes:
        items: Names, in order of first appearance.
        prompts: Names, likewise.
        said: Place of the candidate that was chosen, [items, prompts]; -1 where nothing was asked.
        answers: Place of the right answer of each item, [items].
        choices: Number of candidates.
    """

    items: tuple[str, ...]
    prompts: tuple[str, ...]
    said: NDArray[np.int64]
    answers: NDArray[np.int64]
    choices: int

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the right candidate was chosen, [items, prompts]."""
        right: NDArray[np.bool_] = self.said == self.answers[:, np.newaxis]
        return right


def candidate_scores(
    frame: pl.DataFrame, part: str, reading: Reading
) -> tuple[pl.DataFrame, Floats]:
    """The questions of a part, and how likely each candidate is, [questions, candidates].

    Args:
        frame: One model's answers under one control, from one seed: ``choice_0 ...`` are the
            log-probabilities of whole candidates, ``first_piece_0 ...`` those of their first tokens.
    """
    firsts = [column for column in frame.columns if column.startswith(FIRST_PIECE)]
    wholes = [column for column in frame.columns if column.startswith(CHOICE)]
    columns = firsts if reading.first_piece and firsts else wholes
    asked = frame.filter((pl.col("part") == part) & (pl.col("answer") >= 0))
    scores = asked.select(columns).to_numpy().astype(np.float64)
    if reading.calibrate:
        free = frame.filter(pl.col("answer") < 0).group_by("prompt").agg(pl.col(columns).mean())
        offsets = {row["prompt"]: [row[c] for c in columns] for row in free.to_dicts()}
        nothing = [0.0] * len(columns)
        scores -= np.array([offsets.get(prompt, nothing) for prompt in asked["prompt"]])
    return asked, scores


def answers_of(frame: pl.DataFrame, part: str, reading: Reading) -> Answers:
    """Take the most likely candidate of each question of a part; see ``candidate_scores``."""
    asked, scores = candidate_scores(frame, part, reading)
    items = tuple(asked["item"].unique(maintain_order=True))
    prompts = tuple(asked["prompt"].unique(maintain_order=True))
    row = asked["item"].replace_strict({name: n for n, name in enumerate(items)}).to_numpy()
    column = asked["prompt"].replace_strict({name: n for n, name in enumerate(prompts)}).to_numpy()
    said = np.full((len(items), len(prompts)), -1, dtype=np.int64)
    said[row, column] = scores.argmax(axis=1)
    answers = np.zeros(len(items), dtype=np.int64)
    answers[row] = asked["answer"].to_numpy()
    return Answers(items, prompts, said, answers, scores.shape[1])


Scored = tuple[ItemScores, Baselines]


@dataclass(frozen=True)
class Shares:
    """How right each item was under each prompt, from 0 to 1: [items, prompts]."""

    items: tuple[str, ...]
    prompts: tuple[str, ...]
    values: Floats


def raw(frame: pl.DataFrame, part: str) -> Scored:
    """Micro-average over prompts and items, as published: by first tokens, uncalibrated."""
    return _accuracy(answers_of(frame, part, AS_PUBLISHED))


def full_label(frame: pl.DataFrame, part: str) -> Scored:
    """Micro-average by whole labels, uncalibrated."""
    return _accuracy(answers_of(frame, part, AS_IT_IS))


def calibrated(frame: pl.DataFrame, part: str) -> Scored:
    """Micro-average by whole labels after contextual calibration."""
    return _accuracy(answers_of(frame, part, CALIBRATED))


def balanced(frame: pl.DataFrame, part: str) -> Scored:
    """Calibrated accuracy averaged over classes: each item weighs one over its class's size."""
    answers = answers_of(frame, part, CALIBRATED)
    sizes = np.bincount(answers.answers, minlength=answers.choices)
    weights = 1 / sizes[answers.answers]
    scores = ItemScores(answers.items, weights * answers.right.mean(axis=1), weights)
    return scores, Baselines(1 / answers.choices, 1 / int((sizes > 0).sum()))


def macro_f1(frame: pl.DataFrame, part: str) -> Scored:
    """F1 = 2 TP / (right answers + given answers) of each class that is somebody's right answer.

    An answer that is no such class costs recall only. Chance is the score of the expected counts of
    a uniform guess.
    """
    answers = answers_of(frame, part, CALIBRATED)
    sizes = np.bincount(answers.answers, minlength=answers.choices)
    classes = np.flatnonzero(sizes)
    gold = answers.answers[:, np.newaxis] == classes
    said = (answers.said[..., np.newaxis] == classes).mean(axis=1)
    scores = ItemScores(answers.items, 2.0 * gold * said, gold + said, macro_average)
    sizes, total = sizes[classes], len(answers.items)
    chance = np.mean(2 * sizes / answers.choices / (sizes + total / answers.choices))
    majority = 2 * sizes.max() / (sizes.max() + total) / len(classes)
    return scores, Baselines(float(chance), float(majority))


def both_orders(frame: pl.DataFrame, part: str) -> Scored:
    """Right answers over both orders of a pair."""
    return _both_orders(frame, AS_IT_IS)


def calibrated_both_orders(frame: pl.DataFrame, part: str) -> Scored:
    """Right answers over both orders after contextual calibration."""
    return _both_orders(frame, CALIBRATED)


def pair_consistency(frame: pl.DataFrame, part: str) -> Scored:
    """Pairs and prompts that are right in both orders; a constant answer never is."""
    return _means(_consistent(frame)), Baselines(0.25, 0.0)


def token_perplexity(frame: pl.DataFrame, part: str) -> Scored:
    """Perplexity a token, blocks scored alone."""
    return _perplexity(frame, part, ALONE, "tokens")


def line_perplexity(frame: pl.DataFrame, part: str) -> Scored:
    """Perplexity a token of lines that fit the official model's context, each scored alone."""
    return _perplexity(frame.filter(pl.col("tokens") <= LONGEST_LINE), part, ALONE, "tokens")


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
        raw, full_label, calibrated, balanced, macro_f1,
        both_orders, calibrated_both_orders, pair_consistency,
        token_perplexity, line_perplexity, word_perplexity, last_piece, whole_word,
    )
}  # fmt: skip
# Scorers whose score is the mean over items and prompts, and what it is the mean of.
PER_PROMPT: Mapping[str, Callable[[pl.DataFrame, str], Shares]] = {
    "raw": lambda frame, part: _shares(answers_of(frame, part, AS_PUBLISHED)),
    "full_label": lambda frame, part: _shares(answers_of(frame, part, AS_IT_IS)),
    "calibrated": lambda frame, part: _shares(answers_of(frame, part, CALIBRATED)),
    "both_orders": lambda frame, part: _either_order(frame, AS_IT_IS),
    "calibrated_both_orders": lambda frame, part: _either_order(frame, CALIBRATED),
    "pair_consistency": lambda frame, part: _consistent(frame),
}
BOTH_PARTS = ("both_orders", "calibrated_both_orders", "pair_consistency")
PERPLEXITIES = ("token_perplexity", "line_perplexity", "word_perplexity")
# The context in which a scorer of passages reads them.
CONTEXTS = {
    "token_perplexity": ALONE, "line_perplexity": ALONE, "word_perplexity": SLIDING,
    "last_piece": SLIDING, "whole_word": SLIDING,
}  # fmt: skip


def has_items(frame: pl.DataFrame, scorer: str, part: str) -> bool:
    """Whether a scorer finds anything: a sample, or a study's test text, may lack a part of a task."""
    parts = (LARGER_FIRST, SMALLER_FIRST) if scorer in BOTH_PARTS else (part,)
    asked = frame.filter(pl.col("answer") >= 0) if "answer" in frame.columns else frame
    return set(parts) <= set(asked["part"])


def macro_average(ratios: Floats) -> Floats:
    """The mean over classes, [..., classes]; a resample without a class says nothing about it."""
    return np.asarray(np.nanmean(ratios, axis=-1))


def _accuracy(answers: Answers) -> Scored:
    sizes = np.bincount(answers.answers, minlength=answers.choices)
    baselines = Baselines(1 / answers.choices, float(sizes.max() / sizes.sum()))
    return _means(_shares(answers)), baselines


def _means(shares: Shares) -> ItemScores:
    """Each item's mean over the prompts."""
    return ItemScores(shares.items, shares.values.mean(axis=1), np.ones(len(shares.items)))


def _shares(answers: Answers) -> Shares:
    return Shares(answers.items, answers.prompts, answers.right.astype(np.float64))


def _both_orders(frame: pl.DataFrame, reading: Reading) -> Scored:
    return _means(_either_order(frame, reading)), Baselines(0.5, 0.5)


def _either_order(frame: pl.DataFrame, reading: Reading) -> Shares:
    first, second = _orders(frame, reading)
    values = (first.right.astype(np.float64) + second.right) / 2
    return Shares(first.items, first.prompts, values)


def _consistent(frame: pl.DataFrame) -> Shares:
    first, second = _orders(frame, AS_IT_IS)
    both = first.right & second.right
    return Shares(first.items, first.prompts, both.astype(np.float64))


def _orders(frame: pl.DataFrame, reading: Reading) -> tuple[Answers, Answers]:
    first, second = (answers_of(frame, part, reading) for part in (LARGER_FIRST, SMALLER_FIRST))
    assert first.items == second.items and first.prompts == second.prompts
    return first, second


def _perplexity(frame: pl.DataFrame, part: str, context: str, unit: str) -> Scored:
    """Nats over units, the passages of one item added up."""
    rows = (
        frame.filter((pl.col("part") == part) & (pl.col("context") == context))
        .group_by("item", maintain_order=True)
        .agg(pl.col("nats", unit).sum())
    )
    nats, units = (rows[column].to_numpy().astype(np.float64) for column in ("nats", unit))
    return ItemScores(tuple(rows["item"]), nats, units, np.exp), Baselines(None, None)


def _last_words(frame: pl.DataFrame, part: str, column: str) -> Scored:
    rows = frame.filter((pl.col("part") == part) & (pl.col("context") == SLIDING))
    right = rows[column].to_numpy().astype(np.float64)
    return ItemScores(tuple(rows["item"]), right, np.ones(len(right))), Baselines(None, None)
