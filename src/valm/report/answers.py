"""Which candidate each model chose, counted by what is right: the numbers behind the confusion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from valm.evaluate.metrics import CALIBRATED, candidate_scores

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
