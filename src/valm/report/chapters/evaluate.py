"""Scores: every task and metric with its controls, the spread over prompts, the tested pairs."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from valm.report.comparisons import headline_metrics, read_comparisons
from valm.report.exhibits import Exhibit, missing
from valm.report.figures import prompt_spread, score_panels
from valm.report.results import Results
from valm.report.score_tables import POOLED, comparison_table, results_table, summary_table


def scores_table(results: str | Path) -> Exhibit:
    """Every score with its interval, n, chance and majority; legacy and corrected side by side."""
    scores = read_scores(Results(Path(results)))
    return missing("scores") if scores.is_empty() else results_table(scores)


def summary(results: str | Path) -> Exhibit:
    """Headline scores: one row a model or control, one column a task."""
    scores = read_scores(Results(Path(results)))
    rows = scores if scores.is_empty() else _headline_rows(scores)
    return missing("scores") if rows.is_empty() else summary_table(rows)


def score_figure(results: str | Path) -> Exhibit:
    """Each task's headline metric for every model and control."""
    scores = read_scores(Results(Path(results)))
    shares = _headline_rows(scores).filter(pl.col("unit") == "share") if len(scores) else scores
    return missing("scores that are shares") if shares.is_empty() else score_panels(shares)


def prompts(results: str | Path) -> Exhibit:
    """How far the wording of the question moves each model."""
    study = Results(Path(results))
    per_prompt, scores = study.frame("evaluate", "per_prompt.parquet"), read_scores(study)
    if per_prompt.is_empty() or scores.is_empty():
        return missing("task with several prompts")
    several = pl.col("prompt").n_unique().over("task") > 1
    chosen = _headline_rows(_pooled(per_prompt), metrics=headline_metrics(scores)).filter(several)
    return missing("task with several prompts") if chosen.is_empty() else prompt_spread(chosen)


def comparisons(results: str | Path) -> Exhibit:
    """Every tested pair with its Holm-corrected p."""
    study = Results(Path(results))
    tested = read_comparisons(study.frame("evaluate", "comparisons.parquet"), read_scores(study))
    return comparison_table(tested) if tested else missing("tested pairs")


def read_scores(study: Results) -> pl.DataFrame:
    """``scores.parquet``, empty if the study has none."""
    return study.frame("evaluate", "scores.parquet")


def _pooled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("seed") == POOLED)


def _headline_rows(frame: pl.DataFrame, metrics: dict[str, str] | None = None) -> pl.DataFrame:
    """The pooled, corrected rows of each task's headline metric."""
    known = headline_metrics(frame) if metrics is None else metrics
    named = pl.DataFrame(
        {"task": list(known), "metric": list(known.values())},
        schema={"task": pl.String, "metric": pl.String},
    )
    rows = _pooled(frame).filter(pl.col("definition") == "corrected")
    return rows.join(named, on=["task", "metric"], how="semi", maintain_order="left")
