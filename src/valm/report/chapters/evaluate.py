"""Scores: every task and metric with its controls, the spread over prompts, the tested pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from valm.ingest.pictures.numbering import picture_bytes
from valm.report.exhibits import Exhibit, missing
from valm.report.figures.counterfactuals import (
    Looking,
    attention_figure,
    counterfactual_figure,
    counterfactual_table,
)
from valm.report.figures.findings import prompt_spread, score_panels
from valm.report.figures.sweeps import sweep_figure, sweep_table
from valm.report.pictures import small_picture
from valm.report.results import Results
from valm.report.sweeps import model_aspects, sweeps, swept_scores
from valm.report.tables.layout import as_text, table
from valm.report.tables.scores import (
    comparison_table,
    definition_table,
    results_table,
    summary_table,
)
from valm.report.words.comparisons import (
    POOLED,
    Comparison,
    headline_metrics,
    headline_rows,
    read_comparisons,
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


def sweep_exhibits(results: str | Path) -> list[Exhibit]:
    """A figure and a table for each thing that models differ in one at a time; none if there is none."""
    study = Results(Path(results))
    scores, aspects = read_scores(study), model_aspects(study)
    if scores.is_empty():
        return []
    plain = [
        m.facts["variant"]
        for m in study.manifests("train").values()
        if m.facts["pictures"] == "none"
    ]
    baseline = list(dict.fromkeys(plain))
    shown: list[Exhibit] = []
    for sweep in sweeps(aspects):
        rows = swept_scores(headline_rows(scores), sweep, baseline)
        if not rows.filter(pl.col("model").is_in(sweep.models)).is_empty():
            shown += [sweep_figure(rows, sweep, baseline), sweep_table(rows, sweep)]
    return shown


def attention(results: str | Path) -> Exhibit:
    """Where a model looks in a few prompts: at the words and at the pictures retrieved for the last one."""
    study = Results(Path(results))
    seen = study.json("evaluate", "sights.json")
    if not seen or not any(sight["attention"] for sight in seen["prompts"]):
        return missing("prompts that a model with pictures was asked")
    return attention_figure(seen["prompts"], _shown_pictures(study, seen), _looking(study, seen))


def counterfactual(results: str | Path) -> Exhibit:
    """What the same prompts are answered when their pictures are exchanged for others."""
    study = Results(Path(results))
    seen = study.json("evaluate", "sights.json")
    if not seen or not any(sight["attention"] for sight in seen["prompts"]):
        return missing("prompts whose pictures were exchanged")
    pictures = _shown_pictures(study, seen)
    return counterfactual_figure(seen["prompts"], seen["words"], pictures, _looking(study, seen))


def counterfactual_numbers(results: str | Path) -> Exhibit:
    """How far each exchange moves the answers."""
    seen = Results(Path(results)).json("evaluate", "sights.json")
    if not seen or not any(sight["attention"] for sight in seen["prompts"]):
        return missing("prompts whose pictures were exchanged")
    return counterfactual_table(seen["prompts"], seen["words"])


def leakage(results: str | Path) -> Exhibit:
    """What of each task the captions and the training text give away."""
    study = Results(Path(results))
    audit = study.json("evaluate", "leakage.json")
    if not audit:
        return missing("audit of captions and training text")
    stated = Counter(task for task, _ in {(row["task"], row["item"]) for row in audit["captions"]})
    frame = pl.DataFrame(
        [
            {name: row[name] for name in ("task", "items")}
            | {"captions": stated[row["task"]], "texts": row["found"]}
            for row in audit["texts"]
        ]
    )
    caption = (
        "Items of each task, those whose answer the caption of a picture of the base states, and"
        " those of which a text occurs in the training text, whole or in a stretch of 13 tokens."
        " Nothing is taken out; evaluate/leakage.json names each."
    )
    labels = {
        "task": "Task", "items": "Items", "captions": "Answer in a caption",
        "texts": "Text in the training text",
    }  # fmt: skip
    shown = as_text(frame, task=str, items=str, captions=str, texts=str)
    right = ("items", "captions", "texts")
    return table(
        "leakage",
        caption,
        shown,
        data=frame,
        labels=labels,
        right=right,
        made_by="evaluate/leakage",
    )


def _shown_pictures(study: Results, seen: Mapping[str, Any]) -> dict[int, Image.Image]:
    """Every picture that a row shows, decoded."""
    rows = (row for sight in seen["prompts"] for row in sight["exchanges"])
    ids = sorted({number for row in rows for number in row["pictures"] if number >= 0})
    data = picture_bytes(study.path("ingest", "pictures", "list.manifest.json"), ids)
    return {number: opened for number in ids if (opened := small_picture(data[number]))}


def _looking(study: Results, seen: Mapping[str, Any]) -> Looking:
    """The model that the findings are about if it was asked, else the first that was."""
    asked = [each["model"] for sight in seen["prompts"] for each in sight["attention"]]
    tested = [comparison.first[0] for comparison in read_tested(study)]
    model = next((name for name in tested if name in asked), asked[0])
    read = dict(model_aspects(study).select("model", "top_k").iter_rows())
    return Looking(model, read.get(model))


def read_tested(study: Results) -> list[Comparison]:
    """The tested pairs, none if the study has no scores."""
    return read_comparisons(study.frame("evaluate", "comparisons.parquet"), read_scores(study))


def read_scores(study: Results) -> pl.DataFrame:
    """``scores.parquet``, empty if the study has none."""
    return study.frame("evaluate", "scores.parquet")
