"""Scores: every task and metric with its controls, the spread over prompts, the tested pairs."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from valm.report.comparisons import (
    POOLED,
    Comparison,
    headline_metrics,
    headline_rows,
    read_comparisons,
)
from valm.report.exhibits import Exhibit, missing
from valm.report.figures import prompt_spread, score_panels
from valm.report.results import Results
from valm.report.score_tables import (
    comparison_table,
    definition_table,
    results_table,
    summary_table,
)


def scores_table(results: str | Path) -> Exhibit:
    """Every score with its interval, n, chance and majority; legacy and corrected side by side."""
    scores = read_scores(Results(Path(results)))
    return missing("scores") if scores.is_empty() else results_table(scores)


def definitions(results: str | Path) -> Exhibit:
    """What each metric of each task measures."""
    scores = read_scores(Results(Path(results)))
    return missing("scores") if scores.is_empty() else definition_table(scores)


def summary(results: str | Path) -> Exhibit:
    """Headline scores: one row a model or control, one column a task."""
    scores = read_scores(Results(Path(results)))
    if scores.is_empty():
        return missing("scores")
    return summary_table(headline_rows(scores).filter(pl.col("seed") == POOLED))


def score_figure(results: str | Path) -> Exhibit:
    """Each task's headline metric for every model and control, pooled and seed by seed."""
    scores = read_scores(Results(Path(results)))
    shares = headline_rows(scores).filter(pl.col("unit") == "share") if len(scores) else scores
    return missing("scores that are shares") if shares.is_empty() else score_panels(shares)


def prompts(results: str | Path) -> Exhibit:
    """How far the wording of the question moves each model, on the mean of its seeds."""
    study = Results(Path(results))
    per_prompt = study.frame("evaluate", "per_prompt.parquet")
    if per_prompt.is_empty():
        return missing("corrected scores prompt by prompt")
    chosen = (
        headline_rows(per_prompt, metrics=headline_metrics(read_scores(study)))
        .group_by("task", "model", "control", "prompt", maintain_order=True)
        .agg(pl.col("value").mean())
        .filter(pl.col("prompt").n_unique().over("task") > 1)
    )
    return (
        missing("corrected scores prompt by prompt") if chosen.is_empty() else prompt_spread(chosen)
    )


def comparisons(results: str | Path) -> Exhibit:
    """Every tested pair with its Holm-corrected p."""
    tested = read_tested(Results(Path(results)))
    return comparison_table(tested) if tested else missing("tested pairs")


def read_tested(study: Results) -> list[Comparison]:
    """The tested pairs, none if the study has no scores."""
    return read_comparisons(study.frame("evaluate", "comparisons.parquet"), read_scores(study))


def read_scores(study: Results) -> pl.DataFrame:
    """``scores.parquet``, empty if the study has none."""
    return study.frame("evaluate", "scores.parquet")
