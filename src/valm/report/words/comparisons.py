"""A tested difference between two models, and what its interval allows to be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

CORRECTED, LEGACY = "corrected", "legacy"
MEASURED = "measured"
OWN = "own"  # the pictures that a model was trained with
POOLED = -1  # the seed of rows that pool all seeds
LEVEL = 0.05  # a Holm-corrected p above it is "not shown"


class Verdict(StrEnum):
    """What an interval and its test carry; there is no "almost"."""

    GAIN = "gain shown"
    LOSS = "loss shown"
    OPEN = "not shown"


@dataclass(frozen=True)
class Comparison:
    """One pair on one task: the first's score minus the second's, paired by item.

    Attributes:
        first, second: ``(model, control)``; control "own" is what the model was trained with.
        difference, low, high: In the metric's unit.
        p_holm: Two-sided p, corrected by Holm over the study's comparisons.
        higher_is_better: Whether a positive difference is a gain.
    """

    task: str
    metric: str
    definition: str
    unit: str
    first: tuple[str, str]
    second: tuple[str, str]
    difference: float
    low: float
    high: float
    p_holm: float
    n: int
    seeds: int
    higher_is_better: bool = True

    @property
    def verdict(self) -> Verdict:
        """Gain or loss only if the interval excludes zero and the corrected test agrees."""
        if self.p_holm > LEVEL or self.low <= 0 <= self.high:
            return Verdict.OPEN
        return Verdict.GAIN if (self.difference > 0) == self.higher_is_better else Verdict.LOSS


def read_comparisons(comparisons: pl.DataFrame, scores: pl.DataFrame) -> list[Comparison]:
    """The rows of ``comparisons.parquet``, with each metric's unit and direction from the scores."""
    if comparisons.is_empty():
        return []
    kinds = {
        (row["task"], row["metric"]): (row["unit"], row["higher_is_better"])
        for row in scores.select("task", "metric", "unit", "higher_is_better").unique().to_dicts()
    }
    return [_comparison(row, *kinds[row["task"], row["metric"]]) for row in comparisons.to_dicts()]


def _comparison(row: dict[str, Any], unit: str, higher_is_better: bool) -> Comparison:
    return Comparison(
        task=row["task"],
        metric=row["metric"],
        definition=row["definition"],
        unit=unit,
        first=(row["first_model"], row["first_control"]),
        second=(row["second_model"], row["second_control"]),
        difference=row["difference"],
        low=row["low"],
        high=row["high"],
        p_holm=row["p_holm"],
        n=row["n"],
        seeds=row["seeds"],
        higher_is_better=higher_is_better,
    )


def headline_metrics(scores: pl.DataFrame) -> dict[str, str]:
    """Each measured task's headline metric: the first corrected one, in the order of the scores.

    A half that decisions were made on ("dev") never makes a headline.
    """
    if scores.is_empty():
        return {}
    measured = scores.filter(
        (pl.col("definition") == CORRECTED)
        & (pl.col("status") == MEASURED)
        & ~pl.col("metric").str.contains("dev")
    )
    first = measured.unique(["task"], keep="first", maintain_order=True)
    return dict(first.select("task", "metric").iter_rows())


def headline_rows(
    frame: pl.DataFrame, definition: str = CORRECTED, metrics: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The measured rows of each task's headline metric under one definition.

    Args:
        frame: Scores, or rows of the same ``task, metric, definition``.
        definition: "corrected" or "legacy".
        metrics: The headline metrics; those of ``frame`` if it holds the scores.
    """
    known = headline_metrics(frame) if metrics is None else metrics
    names = {"task": list(known), "metric": list(known.values())}
    named = pl.DataFrame(names, schema=dict.fromkeys(names, pl.String))
    rows = frame.filter(pl.col("definition") == definition)
    return rows.join(named, on=["task", "metric"], how="semi", maintain_order="left")


def headlines(
    comparisons: list[Comparison], scores: pl.DataFrame, definition: str = CORRECTED
) -> list[Comparison]:
    """The comparisons of one definition on each task's headline metric, in the tasks' order."""
    metrics = headline_metrics(scores)
    return [
        c for c in comparisons if c.definition == definition and metrics.get(c.task) == c.metric
    ]
