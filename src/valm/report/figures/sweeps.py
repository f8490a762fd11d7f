"""A sweep as a figure and as a table: scores against the one thing that differs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes

from valm.report.exhibits import Figure, Table
from valm.report.figures.drawing import canvas, finished, house_style
from valm.report.figures.style import (
    INK,
    in_reading_order,
    metric_label,
    model_colour,
    model_label,
    task_label,
)
from valm.report.links import answers_of
from valm.report.sweeps import Sweep
from valm.report.tables.layout import table
from valm.report.words.comparisons import POOLED
from valm.report.words.numbers import scaled, with_interval

PANELS_IN_A_ROW = 3
LONGEST_LEVEL = 6  # characters of a value that has room beside others; longer ones are slanted
SLANT_DEGREES = 30


def sweep_figure(scores: pl.DataFrame, sweep: Sweep, baseline: Sequence[str] = ()) -> Figure:
    """Each task's headline score by the swept value, with intervals; models without pictures across.

    Args:
        scores: What ``swept_scores`` gives.
        sweep: What differs.
        baseline: Models without pictures.
    """
    tasks = in_reading_order(scores["task"].unique(maintain_order=True))
    rows = -(-len(tasks) // PANELS_IN_A_ROW)
    across = min(PANELS_IN_A_ROW, len(tasks))
    slanted = max(map(len, sweep.values)) > LONGEST_LEVEL
    slant: dict[str, Any] = {"rotation": SLANT_DEGREES, "ha": "right"} if slanted else {}
    with house_style():
        figure, axes = canvas((3.2 if slanted else 2.7) * rows, rows, across)
        for task, axis in zip(tasks, axes, strict=False):
            mine = scores.filter(pl.col("task") == task)
            for model in baseline:
                _band(axis, mine.filter(pl.col("model") == model), model)
            _line(axis, mine, sweep)
            _name(axis, mine, task)
            axis.set_xticks(range(len(sweep.values)), sweep.values, **slant)
            axis.set_xlim(-0.4, len(sweep.values) - 0.6)
            axis.set_xlabel(sweep.label)
            axis.grid(axis="y")
        for axis in axes[len(tasks) :]:
            axis.set_visible(False)
        without = " and ".join(map(model_label, baseline))
        caption = (
            f"Corrected scores by {sweep.label}, pooled over prompts and seeds, with intervals over items; the small dots are the seeds."
            + (f" The band is {without}, which reads no pictures." if without else "")
            + " The dashed line is chance, the dotted line what always giving the most frequent answer would score."
        )
        return finished(figure, f"sweep_{sweep.aspect}", caption)


def _line(axis: Axes, mine: pl.DataFrame, sweep: Sweep) -> None:
    colour = model_colour("valm")
    points = []
    for place, model in enumerate(sweep.models):
        for row in mine.filter(pl.col("model") == model).to_dicts():
            value, low, high = (scaled(row[name], row["unit"]) for name in ("value", "low", "high"))
            if row["seed"] != POOLED:
                axis.plot(place + 0.12, value, "o", color=colour, markersize=2.6, alpha=0.7)
                continue
            axis.plot([place, place], [low, high], color=colour, solid_capstyle="round")
            points.append((place, value))
    line = "o-" if sweep.ordered else "o"
    axis.plot(*zip(*points, strict=True), line, color=colour, linewidth=1, markersize=5)


def _band(axis: Axes, mine: pl.DataFrame, model: str) -> None:
    for row in mine.filter(pl.col("seed") == POOLED).to_dicts():
        value, low, high = (scaled(row[name], row["unit"]) for name in ("value", "low", "high"))
        colour = model_colour(model)
        axis.axhspan(low, high, color=colour, alpha=0.18, linewidth=0)
        axis.axhline(value, color=colour, linewidth=1)


def _name(axis: Axes, mine: pl.DataFrame, task: str) -> None:
    unit, metric = mine.select("unit", "metric").row(0)
    axis.set_title(task_label(task), fontweight="bold")
    axis.set_ylabel("right, %" if unit == "share" else metric_label(metric))
    for column, dashes in (("chance", (4, 3)), ("majority", (1, 2))):
        for value in mine[column].drop_nulls().head(1).to_list():
            axis.axhline(scaled(value, unit), color=INK, alpha=0.5, linewidth=0.8, dashes=dashes)


def sweep_table(scores: pl.DataFrame, sweep: Sweep) -> Table:
    """One row a model, in the sweep's order: its value, and each task's headline score.

    Args:
        scores: What ``swept_scores`` gives.
        sweep: What differs.
    """
    pooled = scores.filter(pl.col("seed") == POOLED)
    tasks = in_reading_order(pooled["task"].unique(maintain_order=True))
    rows: dict[str, dict[str, str]] = {}
    for row in pooled.to_dicts():
        cells = rows.setdefault(
            row["model"], {"value": row["value_of"], "model": model_label(row["model"])}
        )
        cells[row["task"]] = with_interval(row["value"], row["low"], row["high"], row["unit"])
    units = {
        r["task"]: "%" if r["unit"] == "share" else metric_label(r["metric"])
        for r in pooled.to_dicts()
    }
    labels = {"value": sweep.label[0].upper() + sweep.label[1:], "model": "Model"}
    labels |= {task: f"{task_label(task)}, {units[task]}" for task in tasks}
    shown = pl.DataFrame(list(rows.values()), schema=dict.fromkeys(labels, pl.String))
    caption = f"Corrected scores by {sweep.label}, pooled over prompts and seeds, with intervals over items."
    name = f"sweep_{sweep.aspect}"
    made_by = {task: [answers_of(model, task) for model in rows] for task in tasks}
    return table(name, caption, shown, data=scores, labels=labels, right=tasks, made_by=made_by)
