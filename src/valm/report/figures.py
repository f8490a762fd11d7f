"""Frames as figures of the findings: differences, scores, prompts, colours. Pure; nothing is read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes

from valm.report.comparisons import Comparison, Verdict
from valm.report.drawing import canvas, finished, house_style
from valm.report.exhibits import Figure
from valm.report.numbers import scaled
from valm.report.style import INK, model_colour, model_label, task_label, word_colour

ROW_INCHES = 0.27


def differences(comparisons: Sequence[Comparison], name: str = "differences") -> Figure:
    """Each opponent's difference with its interval around zero, task by task.

    A filled mark is a difference that is shown; a hollow one is not.
    """
    tasks = list(dict.fromkeys(c.task for c in comparisons))
    counts = [sum(c.task == task for c in comparisons) for task in tasks]
    with house_style():
        figure, axes = canvas(
            0.5 + sum(ROW_INCHES * (n + 1.6) for n in counts),
            len(tasks),
            sharex=True,
            height_ratios=[n + 1 for n in counts],
        )
        for task, axis in zip(tasks, axes, strict=True):
            rows = [c for c in comparisons if c.task == task]
            _forest(axis, rows, task_label(task))
            axis.spines["bottom"].set_visible(axis is axes[-1])
            axis.tick_params(axis="x", length=3 if axis is axes[-1] else 0)
        first = model_label(*comparisons[0].first)
        axes[-1].set_xlabel(f"{first} minus the other, percentage points")
        caption = (
            f"{first} against each opponent, paired by item, with intervals. Right of the line it is better."
            " A filled mark is a difference that is shown after Holm's correction, a hollow one is not."
        )
        return finished(figure, name, caption)


def _forest(axis: Axes, rows: Sequence[Comparison], title: str) -> None:
    axis.axvline(0, color=INK, linewidth=0.8, alpha=0.6)
    for place, c in enumerate(reversed(rows)):
        colour = model_colour(*c.second)
        middle, low, high = (scaled(v, c.unit) for v in (c.difference, c.low, c.high))
        face = colour if c.verdict is not Verdict.OPEN else "none"
        axis.plot(
            [low, high],
            [place, place],
            color=colour,
            linewidth=2.2,
            solid_capstyle="round",
        )
        axis.plot(
            middle,
            place,
            "o",
            color=colour,
            markerfacecolor=face,
            markersize=7,
            markeredgewidth=1.6,
        )
    axis.set_yticks(range(len(rows)), [f"against {model_label(*c.second)}" for c in reversed(rows)])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_title(title, fontweight="bold")
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def score_panels(scores: pl.DataFrame, name: str = "scores") -> Figure:
    """One panel a task: every model and control with its interval; chance and majority as lines.

    Args:
        scores: Rows of one definition and metric a task, pooled over seeds, of unit "share".
    """
    tasks = scores["task"].unique(maintain_order=True).to_list()
    rivals = list(scores.select("model", "control").unique(maintain_order=True).iter_rows())
    columns = 2
    rows = -(-len(tasks) // columns)
    with house_style():
        figure, axes = canvas(rows * (0.75 + 0.23 * len(rivals)), rows, columns, sharey=True)
        for task, axis in zip(tasks, axes, strict=False):
            _panel(axis, scores.filter(pl.col("task") == task), rivals)
            axis.set_title(task_label(task), fontweight="bold")
        for axis in axes[len(tasks) :]:
            axis.set_visible(False)
        caption = (
            "Corrected scores in percent with intervals. The dashed line is chance, the dotted line what always"
            " giving the most frequent answer would score."
        )
        return finished(figure, name, caption)


def _panel(axis: Axes, scores: pl.DataFrame, rivals: Sequence[tuple[str, str]]) -> None:
    for row in scores.to_dicts():
        place = len(rivals) - 1 - rivals.index((row["model"], row["control"]))
        colour = model_colour(row["model"], row["control"])
        axis.plot(
            [100 * row["low"], 100 * row["high"]],
            [place, place],
            color=colour,
            linewidth=2,
            solid_capstyle="round",
        )
        axis.plot(100 * row["value"], place, "o", color=colour, markersize=5.5)
    for column, dashes in (("chance", (4, 3)), ("majority", (1, 2))):
        for value in scores[column].drop_nulls().head(1).to_list():
            axis.axvline(100 * value, color=INK, alpha=0.55, linewidth=0.9, dashes=dashes)
    labels = [model_label(*rival) for rival in reversed(rivals)]
    axis.set_yticks(range(len(rivals)), labels, fontsize=8)
    axis.set_ylim(-0.6, len(rivals) - 0.4)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def prompt_spread(per_prompt: pl.DataFrame, name: str = "prompts") -> Figure:
    """How far the wording of the question moves each model: one dot a prompt, a bar at the median.

    Args:
        per_prompt: Rows of one definition and metric a task: ``task, model, control, prompt, value``.
    """
    tasks = per_prompt["task"].unique(maintain_order=True).to_list()
    rivals = list(per_prompt.select("model", "control").unique(maintain_order=True).iter_rows())
    with house_style():
        figure, axes = canvas(0.9 + 0.3 * len(rivals), 1, len(tasks), sharey=True)
        for task, axis in zip(tasks, axes, strict=True):
            for place, (model, control) in enumerate(reversed(rivals)):
                chosen = (
                    (pl.col("task") == task)
                    & (pl.col("model") == model)
                    & (pl.col("control") == control)
                )
                values = 100 * per_prompt.filter(chosen)["value"].drop_nulls().to_numpy()
                colour = model_colour(model, control)
                axis.plot(
                    values,
                    [place] * len(values),
                    "o",
                    color=colour,
                    alpha=0.55,
                    markersize=5,
                    markeredgewidth=0,
                )
                if len(values):
                    middle = sorted(values)[len(values) // 2]
                    axis.plot(
                        [middle, middle],
                        [place - 0.3, place + 0.3],
                        color=colour,
                        linewidth=2.4,
                    )
            axis.set_yticks(
                range(len(rivals)),
                [model_label(*rival) for rival in reversed(rivals)],
                fontsize=8,
            )
            axis.set_title(task_label(task), fontweight="bold")
            axis.set_xlabel("right answers, %")
            axis.grid(axis="x")
            axis.tick_params(axis="y", length=0)
            axis.spines["left"].set_visible(False)
        caption = "Each dot is one wording of the question, the bar their median: what depends on the wording is no knowledge."
        return finished(figure, name, caption)


def confusion(answers: pl.DataFrame, name: str = "confusion") -> Figure:
    """Which colour a model names (across) for things of each colour (down), drawn in those colours.

    Args:
        answers: ``model, control, gold, answer, count``; the area of a square is the share of the
            answers to things of the gold colour.
    """
    words = sorted(set(answers["gold"]) | set(answers["answer"]))
    rivals = list(answers.select("model", "control").unique(maintain_order=True).iter_rows())
    with house_style():
        figure, axes = canvas(0.9 + 0.24 * len(words), 1, len(rivals), sharey=True)
        for (model, control), axis in zip(rivals, axes, strict=True):
            chosen = answers.filter((pl.col("model") == model) & (pl.col("control") == control))
            _squares(axis, chosen, words)
            axis.set_title(model_label(model, control), fontsize=9, fontweight="bold")
        axes[0].set_ylabel("the thing is")
        caption = (
            "Across: the colour that was named; down: the colour the thing has. The area of a square is its share of"
            " the row; a perfect model fills the diagonal."
        )
        return finished(figure, name, caption)


def _squares(axis: Axes, answers: pl.DataFrame, words: Sequence[str]) -> None:
    totals = {
        row["gold"]: row["count"]
        for row in answers.group_by("gold").agg(pl.col("count").sum()).to_dicts()
    }
    for row in answers.sort("gold", "answer").to_dicts():
        half = 0.46 * (row["count"] / totals[row["gold"]]) ** 0.5
        across, down = words.index(row["answer"]), words.index(row["gold"])
        box = (
            [across - half, across + half, across + half, across - half],
            [down - half, down - half, down + half, down + half],
        )
        axis.fill(*box, facecolor=word_colour(row["answer"]), edgecolor=INK, linewidth=0.4)
    axis.set_xticks(range(len(words)), words, rotation=90, fontsize=8)
    axis.set_yticks(range(len(words)), words, fontsize=8)
    axis.set_xlim(-0.6, len(words) - 0.4)
    axis.set_ylim(len(words) - 0.4, -0.6)
    axis.set_aspect("equal")
    axis.tick_params(length=0)
    axis.grid(True)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
