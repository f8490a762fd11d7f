"""Frames as figures of the findings: differences, scores, prompts, colours. Pure; nothing is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from valm.report.exhibits import Figure
from valm.report.figures.drawing import WIDTH_INCHES, canvas, finished, house_style
from valm.report.figures.style import (
    INK,
    in_reading_order,
    model_colours,
    model_label,
    task_label,
    word_colour,
)
from valm.report.words.comparisons import POOLED, Comparison, Verdict
from valm.report.words.numbers import scaled

LANE_INCHES = 0.25
PANELS_IN_A_ROW = 2
SQUARES_IN_A_ROW = 3
Rivals = Mapping[tuple[str, str], str]  # model and control, in the order of their lanes: colour
Draw = Callable[[Axes, pl.DataFrame, Rivals], None]


def differences(comparisons: Sequence[Comparison], name: str = "differences") -> Figure:
    """Each opponent's difference with its interval around zero, task by task.

    A filled mark is a difference that is shown; a hollow one is not. The first comparison's model is
    the one that all are about; where another one was tested, its name stands in its lane.
    """
    subject = comparisons[0].first
    tasks = list(dict.fromkeys(c.task for c in comparisons))
    counts = [sum(c.task == task for c in comparisons) for task in tasks]
    colours = model_colours(c.second for c in comparisons)
    with house_style():
        figure, axes = canvas(
            0.5 + sum(LANE_INCHES * (n + 1.6) for n in counts),
            len(tasks),
            sharex=True,
            height_ratios=[n + 1 for n in counts],
        )
        for task, axis in zip(tasks, axes, strict=True):
            rows = [c for c in comparisons if c.task == task]
            _forest(axis, rows, colours)
            _lanes(axis, task_label(task), [_pair(c, subject) for c in rows])
            axis.spines["bottom"].set_visible(axis is axes[-1])
            axis.tick_params(axis="x", length=3 if axis is axes[-1] else 0)
        first = model_label(*subject)
        alone = all(c.first == subject for c in comparisons)
        axes[-1].set_xlabel(f"{first if alone else 'the first'} minus the other, percentage points")
        caption = (
            f"{first}{'' if alone else ', or the model that is named first,'} against each opponent, paired by item, with intervals."
            " Right of the line it is better."
            " A filled mark is a difference that is shown after Holm's correction, a hollow one is not."
        )
        return finished(figure, name, caption)


def _pair(c: Comparison, subject: tuple[str, str]) -> str:
    first = "" if c.first == subject else f"{model_label(*c.first)} "
    return f"{first}against {model_label(*c.second)}"


def _forest(axis: Axes, rows: Sequence[Comparison], colours: Rivals) -> None:
    axis.axvline(0, color=INK, linewidth=0.8, alpha=0.6)
    for place, c in enumerate(rows):
        middle, low, high = (scaled(value, c.unit) for value in (c.difference, c.low, c.high))
        shown = c.verdict is not Verdict.OPEN
        _mark(axis, place, middle, low, high, colours[c.second], shown)


def score_panels(scores: pl.DataFrame, name: str = "scores") -> Figure:
    """One panel a task: every model and control with its interval; chance and majority as lines.

    Args:
        scores: Rows of one definition and metric a task, of unit "share": pooled, and of each seed.
    """
    caption = (
        "Corrected scores in percent with intervals; the small dots below are the seeds. The dashed line is chance, the dotted line what always giving the"
        " most frequent answer would score."
    )
    return _panels(scores, _scores, name, caption)


def prompt_spread(per_prompt: pl.DataFrame, name: str = "prompts") -> Figure:
    """How far the wording of the question moves each model: one dot a prompt, a bar at the median.

    Args:
        per_prompt: Rows of one definition and metric a task: ``task, model, control, prompt, value``.
    """
    caption = (
        "Right answers in percent: each dot is one wording of the question, the bar their median. What depends on the"
        " wording is no knowledge."
    )
    return _panels(per_prompt, _spread, name, caption)


def _panels(frame: pl.DataFrame, draw: Draw, name: str, caption: str) -> Figure:
    """One panel a task, two in a row, with a lane for every model and control."""
    tasks = in_reading_order(frame["task"].unique(maintain_order=True))
    rivals = model_colours(frame.select("model", "control").iter_rows())
    rows = -(-len(tasks) // PANELS_IN_A_ROW)
    height = rows * (0.75 + LANE_INCHES * len(rivals))
    with house_style():
        figure, axes = canvas(height, rows, PANELS_IN_A_ROW, sharey=True)
        for task, axis in zip(tasks, axes, strict=False):
            draw(axis, frame.filter(pl.col("task") == task), rivals)
            _lanes(axis, task_label(task), [model_label(*rival) for rival in rivals])
        for axis in axes[len(tasks) :]:
            axis.set_visible(False)
        return finished(figure, name, caption)


def _scores(axis: Axes, scores: pl.DataFrame, rivals: Rivals) -> None:
    lanes = {rival: place for place, rival in enumerate(rivals)}
    for row in scores.to_dicts():
        rival = (row["model"], row["control"])
        if row["seed"] != POOLED:
            value, place = 100 * row["value"], lanes[rival] + 0.3
            axis.plot(value, place, "o", color=rivals[rival], markersize=2.6, alpha=0.8)
            continue
        middle, low, high = (100 * row[column] for column in ("value", "low", "high"))
        _mark(axis, lanes[rival], middle, low, high, rivals[rival])
    for column, dashes in (("chance", (4, 3)), ("majority", (1, 2))):
        for value in scores[column].drop_nulls().head(1).to_list():
            axis.axvline(100 * value, color=INK, alpha=0.55, linewidth=0.9, dashes=dashes)


def _spread(axis: Axes, per_prompt: pl.DataFrame, rivals: Rivals) -> None:
    for place, ((model, control), colour) in enumerate(rivals.items()):
        mine = (pl.col("model") == model) & (pl.col("control") == control)
        values = 100 * per_prompt.filter(mine)["value"].drop_nulls().to_numpy()
        lane = [place] * len(values)
        axis.plot(values, lane, "o", color=colour, alpha=0.5, markersize=5, markeredgewidth=0)
        if len(values):
            axis.vlines(np.median(values), place - 0.3, place + 0.3, color=colour, linewidth=2.4)


def _mark(
    axis: Axes, place: int, middle: float, low: float, high: float, colour: str, filled: bool = True
) -> None:
    """A value and its interval on a lane."""
    axis.plot([low, high], [place, place], color=colour, linewidth=2.1, solid_capstyle="round")
    face = colour if filled else "none"
    axis.plot(
        middle, place, "o", color=colour, markerfacecolor=face, markersize=6, markeredgewidth=1.5
    )


def _lanes(axis: Axes, title: str, labels: Sequence[str]) -> None:
    """Name the lanes, the first on top; numbers run across."""
    axis.set_title(title, fontweight="bold")
    axis.set_yticks(range(len(labels)), labels, fontsize=8.5)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def confusion(answers: pl.DataFrame, name: str = "confusion") -> Figure:
    """Which colour a model names (across) for things of each colour (down), drawn in those colours.

    Args:
        answers: ``model, control, gold, answer, count``; the area of a square is the share of the
            answers to things of the gold colour.
    """
    words = sorted(set(answers["gold"]) | set(answers["answer"]))
    rivals = list(answers.select("model", "control").unique(maintain_order=True).iter_rows())
    columns = min(SQUARES_IN_A_ROW, len(rivals))
    rows = -(-len(rivals) // columns)
    side = min(0.24 * len(words), WIDTH_INCHES / columns - 0.3)
    with house_style():
        figure, axes = canvas(rows * (0.9 + side), rows, columns, sharey=True)
        for (model, control), axis in zip(rivals, axes, strict=False):
            chosen = answers.filter((pl.col("model") == model) & (pl.col("control") == control))
            _squares(axis, chosen, words)
            axis.set_title(model_label(model, control), fontsize=9, fontweight="bold")
        for axis in axes[len(rivals) :]:
            axis.set_visible(False)
        for axis in axes[::columns]:
            axis.set_ylabel("the thing is")
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


def calibration(confidence: pl.DataFrame, name: str = "calibration") -> Figure:
    """How sure each model says it is against how often it is right, before and after calibration.

    Args:
        confidence: ``model, control, reading, bin, questions, stated, right``.
    """
    readings = confidence["reading"].unique(maintain_order=True).to_list()
    top = float(100 * confidence.select("stated", "right").to_numpy().max())
    colours = model_colours(confidence.select("model", "control").iter_rows())
    with house_style():
        figure, axes = canvas(3.2, 1, len(readings), sharey=True)
        for reading, axis in zip(readings, axes, strict=True):
            axis.plot([0, top], [0, top], color=INK, alpha=0.5, linewidth=0.9, dashes=(4, 3))
            shown = confidence.filter(pl.col("reading") == reading)
            for (model, control), line in shown.group_by("model", "control", maintain_order=True):
                rival = str(model), str(control)
                axis.plot(
                    100 * line["stated"], 100 * line["right"], "o-", color=colours[rival],
                    label=model_label(*rival), markersize=4,
                )  # fmt: skip
            axis.set_title(reading.capitalize(), fontweight="bold")
            axis.set_xlabel("stated share of the chosen colour, %")
            axis.set(xlim=(0, top * 1.04), ylim=(0, top * 1.04))
            axis.grid(True)
        axes[0].set_ylabel("right, %")
        axes[0].legend(loc="upper left")
        caption = (
            "How sure a model says it is of the colour it chooses, against how often that is right: each dot an equal share of the"
            " questions over all prompts and seeds. On the dashed line a model is as sure as it is right; below it, too sure."
            " Left by the probabilities as they are, right after contextual calibration, as in the corrected accuracy."
        )
        return finished(figure, name, caption)
