"""Which candidate each model chose, how sure it was, and what is right: the numbers behind two figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.evaluate.scores.metrics import AS_IT_IS, CALIBRATED, Reading, candidate_scores

Rival = tuple[str, str]


def counted_answers(
    answers: Mapping[Rival, pl.DataFrame], choices: Sequence[str], part: str = ""
) -> pl.DataFrame:
    """How often each candidate was chosen for things of each right answer, over prompts and seeds.

    Candidates are compared after calibration, as in the corrected accuracy.

    Args:
        answers: By model and control: ``seed, item, prompt, part, answer`` (place of the right
            candidate) and ``choice_0 ...`` (log-probabilities).
        choices: The candidates.
        part: The part of the questions that counts.

    Returns:
        ``model, control, gold, answer, count``.
    """
    rows = []
    for (model, control), frame in answers.items():
        counts: Counter[tuple[int, int]] = Counter()
        for _, of_seed in frame.group_by("seed", maintain_order=True):
            asked, scores = candidate_scores(of_seed, part, CALIBRATED)
            counts.update(zip(asked["answer"], scores.argmax(axis=1).tolist(), strict=True))
        rows += [
            (model, control, choices[gold], choices[answer], count)
            for (gold, answer), count in sorted(counts.items())
        ]
    return pl.DataFrame(rows, ["model", "control", "gold", "answer", "count"], orient="row")


def stated_confidence(
    answers: Mapping[Rival, pl.DataFrame], part: str = "", bins: int = 8
) -> pl.DataFrame:
    """How sure each model says it is of the candidate that it chooses, and how often that is right.

    A candidate's stated share is its probability among the candidates; questions of all prompts and
    seeds are put in order of the chosen one's share and cut into bins of equal number.

    Args:
        answers: As for ``counted_answers``.
        part: The part of the questions that counts.
        bins: Number of bins.

    Returns:
        ``model, control, reading, bin, questions, stated, right``; ``reading`` is "uncalibrated", by
        the probabilities as they are, or "calibrated", after contextual calibration.
    """
    rows = []
    for (model, control), frame in answers.items():
        for reading, how in (("uncalibrated", AS_IT_IS), ("calibrated", CALIBRATED)):
            stated, right = _chosen(frame, part, how)
            order = np.argsort(stated, kind="stable")
            for number, part_of in enumerate(np.array_split(order, min(bins, len(order)))):
                means = float(stated[part_of].mean()), float(right[part_of].mean())
                rows.append((model, control, reading, number, len(part_of), *means))
    columns = ["model", "control", "reading", "bin", "questions", "stated", "right"]
    return pl.DataFrame(rows, columns, orient="row")


def calibration_errors(confidence: pl.DataFrame) -> pl.DataFrame:
    """The expected calibration error of each model and reading: mean distance of stated and right.

    Args:
        confidence: What ``stated_confidence`` gives.
    """
    gap = (pl.col("stated") - pl.col("right")).abs() * pl.col("questions")
    return confidence.group_by("model", "control", "reading", maintain_order=True).agg(
        error=gap.sum() / pl.col("questions").sum()
    )


def _chosen(
    frame: pl.DataFrame, part: str, reading: Reading
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The chosen candidate's share of all candidates, and whether it is right, by question and seed."""
    shares, rights = [], []
    for _, of_seed in frame.group_by("seed", maintain_order=True):
        asked, scores = candidate_scores(of_seed, part, reading)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares.append(1 / odds.sum(axis=1))  # the chosen one's odds are 1
        rights.append(scores.argmax(axis=1) == asked["answer"].to_numpy())
    return np.concatenate(shares), np.concatenate(rights)
