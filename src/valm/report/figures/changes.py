"""A recipe with one thing changed at a time, as a figure and as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
from matplotlib.axes import Axes

from valm.report.exhibits import Figure, Table
from valm.report.figures.drawing import canvas, finished, house_style
from valm.report.figures.style import INK, in_reading_order, model_colour, model_label, task_label
from valm.report.tables.layout import table
from valm.report.words.comparisons import POOLED
from valm.report.words.numbers import number, percent, probability, scaled, with_interval

PLAIN, WITH_PICTURES = "gpt2_star", "valm"
APART = {WITH_PICTURES: 0.13, PLAIN: -0.17}  # how far above the middle of its row a model is drawn


def readable_change(name: str) -> str:
    """A change's name as words: "tower steps 50"."""
    return name.replace("_", " ")


def changes_figure(scores: pl.DataFrame, order: Sequence[str]) -> Figure:
    """Each change a row: the model with pictures and the one without, intervals and seeds.

    Args:
        scores: Headline rows of ``change_scores.parquet``, shares only.
        order: The changes, the recipe as it is first.
    """
    tasks = in_reading_order(scores["task"].unique(maintain_order=True))
    with house_style():
        figure, axes = canvas(1.1 + 0.42 * len(order), 1, len(tasks), sharey=True)
        for task, axis in zip(tasks, axes, strict=True):
            mine = scores.filter(task=task)
            _band(axis, mine.filter(change=order[0], model=WITH_PICTURES, seed=POOLED))
            for model in (PLAIN, WITH_PICTURES):
                _points(axis, mine.filter(model=model), order, model)
            for value in mine["majority"].drop_nulls().head(1):
                axis.axvline(scaled(value, "share"), color=INK, alpha=0.5, linewidth=0.8, ls=":")
            axis.set_title(task_label(task), fontweight="bold")
            axis.set_xlabel("right, %")
            axis.grid(axis="x")
        axes[0].set_yticks(range(len(order)), [readable_change(name) for name in order])
        axes[0].set_ylim(len(order) - 0.5, -0.5)
        axes[0].legend(loc="lower right")
        caption = (
            "The recipe, and the recipe with one thing changed: corrected scores, pooled over the seeds of encoder and models, with intervals"
            " over items; the small dots are the seeds. The band is the recipe's interval; the dotted line is the most frequent answer."
        )
        return finished(figure, "changes", caption)


def _band(axis: Axes, recipe: pl.DataFrame) -> None:
    for row in recipe.to_dicts():
        axis.axvspan(
            scaled(row["low"], row["unit"]), scaled(row["high"], row["unit"]),
            color=model_colour(WITH_PICTURES), alpha=0.12, linewidth=0,
        )  # fmt: skip


def _points(axis: Axes, mine: pl.DataFrame, order: Sequence[str], model: str) -> None:
    colour = model_colour(model)
    for place, change in enumerate(order):
        height = place - APART[model]
        for row in mine.filter(change=change).to_dicts():
            value, low, high = (scaled(row[k], row["unit"]) for k in ("value", "low", "high"))
            if row["seed"] != POOLED:
                axis.plot(value, height + 0.14, "o", color=colour, markersize=2.4, alpha=0.6)
                continue
            axis.plot([low, high], [height, height], color=colour, solid_capstyle="round")
            name = model_label(model) if place == 0 else None
            axis.plot(value, height, "o", color=colour, markersize=5, label=name)


def changes_table(
    scores: pl.DataFrame, differences: pl.DataFrame, order: Sequence[str], words: Mapping[str, str]
) -> Table:
    """One row a task and change: what is changed, both models, and the two tested differences.

    Args:
        scores: Headline rows of ``change_scores.parquet``, shares only.
        differences: Rows of ``change_differences.parquet`` of the same metrics.
        order: The changes, the recipe as it is first.
        words: What each change sets.
    """
    rows = []
    for task in in_reading_order(scores["task"].unique(maintain_order=True)):
        for change in order:
            pooled = scores.filter(task=task, change=change, seed=POOLED)
            tested = differences.filter(task=task, change=change)
            seeds = scores.filter(task=task, change=change, model=WITH_PICTURES)
            rows.append(
                {
                    "task": task_label(task),
                    "change": readable_change(change),
                    "sets": words.get(change, ""),
                    "plain": _score(pooled.filter(model=PLAIN)),
                    "pictures": _score(pooled.filter(model=WITH_PICTURES)),
                    "seeds": " ".join(
                        map(percent, seeds.filter(pl.col("seed") != POOLED)["value"])
                    ),
                    "gain": _difference(tested.filter(against=PLAIN)),
                    "recipe": _difference(tested.filter(against="recipe")),
                    "n": number(pooled["n"].max()),  # type: ignore[arg-type]
                }
            )
    labels = {
        "change": "Change", "sets": "What it sets", "plain": model_label(PLAIN),
        "pictures": model_label(WITH_PICTURES), "seeds": "Its seeds",
        "gain": f"{model_label(WITH_PICTURES)} − {model_label(PLAIN)}",
        "recipe": "− the recipe's", "n": "n",
    }  # fmt: skip
    caption = (
        "The recipe, and the recipe with one thing changed: corrected scores in percent, pooled over the seeds of encoder and models, with"
        " intervals over items; differences with p values by exchanges within items, corrected by Holm's method over all of this table."
    )
    right = ("plain", "pictures", "seeds", "gain", "recipe", "n")
    return table(
        "changes",
        caption,
        pl.DataFrame(rows),
        data=differences,
        labels=labels,
        group="task",
        right=right,
    )


def _score(rows: pl.DataFrame) -> str:
    return "".join(
        with_interval(r["value"], r["low"], r["high"], r["unit"]) for r in rows.to_dicts()
    )


def _difference(rows: pl.DataFrame) -> str:
    return "".join(
        f"{with_interval(r['difference'], r['low'], r['high'], r['unit'], sign=True)}, p = {probability(r['p_holm'])}"
        for r in rows.to_dicts()
    )
