"""Scores and comparisons as tables: legacy and corrected side by side, with what constants score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from valm.report.exhibits import Table
from valm.report.figures.style import in_reading_order, metric_label, model_label, task_label
from valm.report.links import SCORES, answers_of, questions_of
from valm.report.tables.layout import as_text, table
from valm.report.words.comparisons import CORRECTED, LEGACY, MEASURED, POOLED, Comparison, Verdict
from valm.report.words.numbers import NOTHING, number, plain, probability, score, with_interval

DEFINITIONS = (LEGACY, CORRECTED)


def results_table(scores: pl.DataFrame, name: str = "results") -> Table:
    """Every task and metric: each model and control with its interval, then majority and chance.

    Args:
        scores: ``scores.parquet``.
    """
    pooled = scores.filter(pl.col("seed") == POOLED)
    groups = pooled.select("task", "metric").unique(maintain_order=True)
    shown: list[dict[str, str]] = []
    for task in in_reading_order(groups["task"].unique(maintain_order=True)):
        for metric in groups.filter(pl.col("task") == task)["metric"]:
            rows = pooled.filter((pl.col("task") == task) & (pl.col("metric") == metric))
            shown += _metric_rows(f"{task_label(task)} · {metric_label(metric)}", rows)
    caption = (
        "Scores pooled over seeds, with intervals in brackets. Legacy is the metric of the official code with its"
        " quirks, corrected is ours; below each task stands what a constant answer scores. Spread is the standard"
        " deviation over seeds / over prompts (corrected, else legacy). There is an oracle only where things that are"
        " asked about have pictures of their own."
    )
    labels = {
        "model": "Model", "legacy": "Legacy", "corrected": "Corrected", "spread": "Spread", "n": "n",
    }  # fmt: skip
    numbers = (LEGACY, CORRECTED, "spread", "n")
    made_by = [row.pop("made_by", "") for row in shown]
    frame = pl.DataFrame(shown, schema=dict.fromkeys(["group", "model", *numbers], pl.String))
    return table(
        name, caption, frame, data=scores, labels=labels, group="group", right=numbers,
        made_by=made_by,
    )  # fmt: skip


def _metric_rows(name: str, rows: pl.DataFrame) -> list[dict[str, str]]:
    """The rows of one metric under a common heading with its licence; or why there are none."""
    measured = rows.filter(pl.col("status") == MEASURED)
    if measured.is_empty():
        return [{"group": name, "model": f"not measured: {plain(rows['note'][0])}"}]
    heading = f"{name}, %" if measured["unit"][0] == "share" else name
    heading += f" · licence of the data: {plain(measured['licence'][0])}"
    return [{"group": heading} | row for row in (*_contestants(measured), *constant_rows(measured))]


def summary_table(scores: pl.DataFrame, name: str = "summary") -> Table:
    """One row a model or control, one column a task: headline scores, then what constants score.

    Args:
        scores: Pooled rows of each task's headline metric.
    """
    tasks = in_reading_order(scores["task"].unique(maintain_order=True))
    rivals = scores.select("model", "control").unique(maintain_order=True).iter_rows()
    cells = {(r["task"], r["model"], r["control"]): r for r in scores.to_dicts()}
    shown, made_by = [], {task: list[str]() for task in tasks}
    for model, control in rivals:
        row = {"model": model_label(model, control)}
        for task in tasks:
            made_by[task].append(answers_of(model, task))
            if cell := cells.get((task, model, control)):
                row[task] = with_interval(cell["value"], cell["low"], cell["high"], cell["unit"])
        shown.append(row)
    for task in tasks:
        for row in constant_rows(scores.filter(pl.col("task") == task)):
            mine = next((r for r in shown if r["model"] == row["model"]), None)
            if mine is None:
                shown.append(mine := {"model": row["model"]})
            mine[task] = row[CORRECTED]
    for task in tasks:
        made_by[task] += [questions_of(task)] * (len(shown) - len(made_by[task]))
    units = {
        row["task"]: "%" if row["unit"] == "share" else metric_label(row["metric"])
        for row in scores.to_dicts()
    }
    labels = {"model": "Model"} | {task: f"{task_label(task)}, {units[task]}" for task in tasks}
    caption = "Corrected scores, pooled over prompts and seeds, with intervals; the last rows are what needs no model."
    frame = pl.DataFrame(shown, schema=dict.fromkeys(labels, pl.String))
    return table(name, caption, frame, data=scores, labels=labels, right=tasks, made_by=made_by)


def _contestants(measured: pl.DataFrame) -> list[dict[str, str]]:
    """One row a model and control, with a cell for each definition."""
    rows = []
    for (model, control), mine in measured.group_by("model", "control", maintain_order=True):
        row = {
            "model": model_label(str(model), str(control)),
            "made_by": answers_of(str(model), mine["task"][0]),
        }
        for cell in mine.to_dicts():
            row[cell["definition"]] = with_interval(
                cell["value"], cell["low"], cell["high"], cell["unit"]
            )
            if cell["definition"] == CORRECTED or "spread" not in row:
                row["spread"] = _spread(cell)
        rows.append(row | {"n": " / ".join(dict.fromkeys(number(n) for n in mine["n"]))})
    return rows


def _spread(cell: Mapping[str, Any]) -> str:
    """Standard deviations over seeds and over prompts: ``0.8 / 2.4``."""
    return " / ".join(score(cell[of], cell["unit"]) for of in ("seed_spread", "prompt_spread"))


def constant_rows(measured: pl.DataFrame) -> list[dict[str, str]]:
    """What the most frequent answer and what a guess would score, where that is known."""
    rows: list[dict[str, str]] = []
    if measured.is_empty():
        return rows
    for column, label in (("majority", "Most frequent answer, always"), ("chance", "Chance")):
        known = measured.filter(pl.col(column).is_not_null()).unique(
            "definition", maintain_order=True
        )
        if not known.is_empty():
            cells = {row["definition"]: score(row[column], row["unit"]) for row in known.to_dicts()}
            made_by = questions_of(known["task"][0])
            rows.append(
                {"model": label, "spread": NOTHING, "n": NOTHING, "made_by": made_by} | cells
            )
    return rows


def definition_table(scores: pl.DataFrame, name: str = "definitions") -> Table:
    """What each metric measures: the sentence that the task states."""
    measured = scores.filter(pl.col("status") == MEASURED)
    columns = ("task", "metric", "definition", "version", "note", "licence")
    frame = measured.select(columns).unique(maintain_order=True)
    shown = as_text(
        frame, task=task_label, metric=metric_label, definition=str, version=str, note=str,
        licence=plain,
    )  # fmt: skip
    labels = {
        "task": "Task", "metric": "Metric", "definition": "Definition", "version": "Version",
        "note": "What it measures", "licence": "Licence of its data",
    }  # fmt: skip
    return table(name, "What each metric measures.", shown, data=frame, labels=labels)


def comparison_table(comparisons: Sequence[Comparison], name: str = "comparisons") -> Table:
    """Every tested pair: difference, interval, Holm-corrected p, and what it allows to be said."""
    shown = [
        {
            "task": f"{task_label(c.task)} · {metric_label(c.metric)}, {c.definition}",
            "pair": f"{model_label(*c.first)} − {model_label(*c.second)}",
            "difference": with_interval(c.difference, c.low, c.high, c.unit, sign=True),
            "p_holm": probability(c.p_holm) + ("*" if c.verdict is not Verdict.OPEN else ""),
            "verdict": c.verdict.value,
            "n": number(c.n),
        }
        for c in comparisons
    ]
    data: list[dict[str, Any]] = [
        {
            "task": c.task, "metric": c.metric, "definition": c.definition,
            "first": ":".join(c.first), "second": ":".join(c.second),
            "difference": c.difference, "low": c.low, "high": c.high, "p_holm": c.p_holm,
            "n": c.n, "seeds": c.seeds, "verdict": c.verdict.value,
        }
        for c in comparisons
    ]  # fmt: skip
    caption = (
        "Paired differences; p values are corrected by Holm's method over all tests of one definition. A star marks what"
        " is shown: the interval excludes zero and the corrected p is at most 0.05."
    )
    labels = {
        "pair": "Difference between", "difference": "Difference", "p_holm": "p (Holm)", "verdict": "Says",
        "n": "n",
    }  # fmt: skip
    right = ("difference", "p_holm", "n")
    return table(
        name,
        caption,
        pl.DataFrame(shown),
        data=pl.DataFrame(data),
        labels=labels,
        group="task",
        right=right,
        made_by=SCORES,
    )
