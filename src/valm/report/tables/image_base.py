"""Table 7 of the paper beside ours: scores and time by the size of the image base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from valm.evaluate.scores.published import PublishedValue, paper_values, published
from valm.report.exhibits import Table
from valm.report.figures.style import model_label, task_label
from valm.report.links import answers_of
from valm.report.tables.layout import table
from valm.report.words.comparisons import LEGACY, MEASURED, OWN, POOLED
from valm.report.words.numbers import NOTHING, fixed, number, scaled, with_interval

PUBLISHED_BASES = {"valm": 200, "valm_100m": 100, "valm_10m": 10, "valm_1m": 1}  # million pictures
TIME = ("training", "relative_time")
PUBLISHED, OURS = "Published, of LAION-400M", "This study"


def image_base_table(
    scores: pl.DataFrame,
    bases: Mapping[str, int],
    times: Mapping[str, float | None],
    processor: Mapping[str, float | None],
) -> Table:
    """One row a size: the published scores, then ours by the same metrics.

    Args:
        scores: ``scores.parquet``; may be empty.
        bases: Pictures in the image base of each model that reads retrieved ones.
        times: Time a token of each model as a multiple of GPT-2*'s, with the search of its pictures.
        processor: The same of processor time, which other jobs of the machine disturb less.
    """
    columns = [key for key in dict.fromkeys((c.task, c.metric) for c in _cells()) if key != TIME]
    tasks = [task for task, _ in columns]
    shown, plain, models = [], [], [""] * len(PUBLISHED_BASES)
    for model, millions in PUBLISHED_BASES.items():
        row = {task: published().get((task, metric, model)) for task, metric in columns}
        texts = {task: _percent(value) for task, value in row.items()}
        paper_time = published()[(*TIME, model)]
        shown.append(
            {"group": PUBLISHED, "base": f"{millions} million", "time": fixed(2)(paper_time)}
            | texts
        )
        plain.append({"model": model, "pictures": millions * 10**6, "time": paper_time} | row)
    for model, pictures in sorted(bases.items(), key=lambda pair: -pair[1]):
        cells = _measured(scores, model, columns)
        texts = {
            t: with_interval(c["value"], c["low"], c["high"], c["unit"]) for t, c in cells.items()
        }
        label = f"{number(pictures)} ({model_label(model)})"
        time = times.get(model)
        both = {"time": fixed(2)(time), "processor": fixed(2)(processor.get(model))}
        shown.append({"group": OURS, "base": label} | both | texts)
        models.append(model)
        plain.append({"model": model, "pictures": pictures, "time": time, "processor": processor.get(model)} | {t: c["value"] for t, c in cells.items()})  # fmt: skip
    labels = {
        "base": "Pictures",
        **{task: f"{task_label(task)}, %" for task in tasks},
        "time": "Time",
        "processor": "Processor time",
    }
    caption = (
        "Table 7 of the paper: accuracy by its metrics, as published and as measured here, and the time a token takes in training as a multiple of GPT-2*'s."
        " Ours counts the search of every token's pictures once, as if it were made while training; the paper's search is made then."
        " It was measured while the study ran, where jobs that share the machine slow each other down: processor time is touched far less,"
        " but leaves out what a GPU does."
    )
    schema: dict[str, type[pl.DataType]] = {"model": pl.String, "pictures": pl.Int64}
    schema |= dict.fromkeys((*tasks, "time", "processor"), pl.Float64)
    data = pl.DataFrame(plain, schema=schema)
    text = pl.DataFrame(shown, schema=dict.fromkeys(("group", *labels), pl.String))
    right = (*tasks, "time", "processor")
    made_by = {task: [model and answers_of(model, task) for model in models] for task in tasks}
    made_by["time"] = made_by["processor"] = [model and f"train/{model}" for model in models]
    return table(
        "paper_table_7", caption, text, data=data, labels=labels, group="group", right=right,
        made_by=made_by,
    )  # fmt: skip


def _cells() -> list[PublishedValue]:
    return [cell for cell in paper_values() if cell.table == 7]


def _percent(value: float | None) -> str:
    return NOTHING if value is None else number(scaled(value, "share"), 2)


def _measured(
    scores: pl.DataFrame, model: str, columns: list[tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    """A model's pooled rows by the paper's metrics, by task."""
    if scores.is_empty():
        return {}
    mine = scores.filter(
        (pl.col("model") == model)
        & (pl.col("control") == OWN)
        & (pl.col("seed") == POOLED)
        & (pl.col("definition") == LEGACY)
        & (pl.col("status") == MEASURED)
    )
    return {r["task"]: r for r in mine.to_dicts() if (r["task"], r["metric"]) in columns}
