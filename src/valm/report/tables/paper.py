"""The paper's tables beside ours: what was published, what is measured here by its metric and by ours.

Nothing is scaled to look alike: a study of small models stands beside the paper's numbers as it is, and
tasks that it did not ask are shown with the published values alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from valm.evaluate.scores.published import paper_values, published
from valm.report.exhibits import Table
from valm.report.figures.style import metric_label, model_label, task_label
from valm.report.links import SCORES, answers_of
from valm.report.tables.layout import table
from valm.report.tables.scores import constant_rows
from valm.report.words.comparisons import (
    CORRECTED,
    LEGACY,
    MEASURED,
    OWN,
    POOLED,
    Comparison,
    Verdict,
)
from valm.report.words.numbers import NOTHING, number, scaled, with_interval

TITLES = {
    2: "Table 2 of the paper: colour, shape and size.",
    4: "Table 4 of the paper: sentiment and topic.",
    5: "Table 5 of the paper: text.",
}
READING = (
    " Published is the paper's number. Legacy is ours by the metric that it was measured with, followed by how much more that is;"
    " corrected is ours without that metric's defects. The last difference is the tested model's corrected score less this one's,"
    " paired by item; a star marks what is shown after Holm's correction. Intervals are in brackets, n is the number of items."
)
LABELS = {
    "model": "Model", "published": "Published", "legacy": "Legacy", "distance": "Legacy − published",
    "corrected": "Corrected", "behind": "{} − this", "n": "n",
}  # fmt: skip
NUMBERS = ("published", "legacy", "distance", "corrected", "behind", "n")
NAMES = ("task", "metric", "model", "control")
VALUES = (
    "published", "legacy", "legacy_low", "legacy_high", "corrected", "corrected_low",
    "corrected_high", "difference", "difference_low", "difference_high", "p_holm",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """What one model scores in one column of the paper's table: published, and here by both metrics.

    Attributes:
        cells: The pooled rows of ``scores.parquet`` by definition; none for what was only published.
        tested: The corrected comparison of the tested model with this one, if there is one.
    """

    task: str
    metric: str
    model: str
    control: str
    published: float | None
    unit: str
    cells: Mapping[str, Mapping[str, Any]]
    tested: Comparison | None

    def shown(self) -> dict[str, str]:
        """The cells as readers see them."""
        legacy = self.cells.get(LEGACY)
        distance = legacy["value"] - self.published if legacy and self.published else None
        return {
            "model": model_label(self.model, self.control),
            "published": NOTHING
            if self.published is None
            else number(scaled(self.published, self.unit), 2),
            "legacy": _with_interval(legacy),
            "distance": with_interval(distance, None, None, self.unit, sign=True),
            "corrected": _with_interval(self.cells.get(CORRECTED)),
            "behind": _difference(self.tested),
            "n": " / ".join(dict.fromkeys(number(c["n"]) for c in self.cells.values())) or NOTHING,
        }

    def plain(self) -> dict[str, Any]:
        """The same as numbers."""
        row: dict[str, Any] = {name: getattr(self, name) for name in (*NAMES, "published")}
        for definition, cell in self.cells.items():
            row[definition] = cell["value"]
            row |= {f"{definition}_{end}": cell[end] for end in ("low", "high")} | {"n": cell["n"]}
        if self.tested:
            row |= {f"difference_{end}": getattr(self.tested, end) for end in ("low", "high")}
            row |= {"difference": self.tested.difference, "p_holm": self.tested.p_holm}
        return row


def paper_table(place: int, scores: pl.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Table 2, 4 or 5: each of its columns as a group of rows, model by model.

    Args:
        place: The table's number in the paper.
        scores: ``scores.parquet``; may be empty.
        comparisons: The study's tested pairs.
    """
    subject = comparisons[0].first if comparisons else ("valm", OWN)
    columns = dict.fromkeys((c.task, c.metric) for c in paper_values() if c.table == place)
    shown, plain = [], []
    for task, metric in columns:
        rows = _rows(scores, task, metric)
        paper = [
            c.model for c in paper_values() if (c.table, c.task, c.metric) == (place, task, metric)
        ]
        lines = _lines(task, metric, rows, paper, [c for c in comparisons if c.first == subject])
        group = _heading(task, metric, lines[0].unit, rows)
        shown += [
            {"group": group, "made_by": answers_of(line.model, task)} | line.shown()
            for line in lines
        ]
        shown += [{"group": group} | row for row in constant_rows(_measured(rows))]
        plain += [line.plain() for line in lines]
    made_by = [row.pop("made_by") for row in shown]
    ours = dict.fromkeys((column for column in NUMBERS if column != "published"), made_by)
    text = pl.DataFrame(shown, schema=dict.fromkeys(("group", *LABELS), pl.String))
    numbers = dict.fromkeys(NAMES, pl.String) | dict.fromkeys(VALUES, pl.Float64) | {"n": pl.Int64}
    return table(
        f"paper_table_{place}",
        TITLES[place] + READING,
        text,
        data=pl.DataFrame(plain, schema=numbers),
        labels=LABELS | {"behind": LABELS["behind"].format(model_label(*subject))},
        group="group",
        right=NUMBERS,
        made_by=ours | {"behind": SCORES},
    )


def _rows(scores: pl.DataFrame, task: str, metric: str) -> pl.DataFrame:
    """The pooled rows of a task's metric, measured or not."""
    if scores.is_empty():
        return scores
    wanted = (pl.col("task") == task) & (pl.col("metric") == metric) & (pl.col("seed") == POOLED)
    return scores.filter(wanted)


def _measured(rows: pl.DataFrame) -> pl.DataFrame:
    return rows if rows.is_empty() else rows.filter(pl.col("status") == MEASURED)


def _lines(
    task: str,
    metric: str,
    rows: pl.DataFrame,
    paper: Sequence[str],
    tested: Sequence[Comparison],
) -> Sequence[Line]:
    """The paper's models in its order, then ours that it does not have, controls at evaluation last."""
    known = published()
    cells: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in _measured(rows).to_dicts():
        cells.setdefault((row["model"], row["control"]), {})[row["definition"]] = row
    unit = next((c["unit"] for of in cells.values() for c in of.values()), _unit(metric))
    ours = sorted(cells, key=lambda rival: rival[1] != OWN)
    rivals = dict.fromkeys([*((model, OWN) for model in paper), *ours])
    behind = {
        c.second: c for c in tested if (c.task, c.metric, c.definition) == (task, metric, CORRECTED)
    }
    return [
        Line(
            task, metric, model, control, known.get((task, metric, model)) if control == OWN else None,
            unit, cells.get((model, control), {}), behind.get((model, control)),
        )
        for model, control in rivals
    ]  # fmt: skip


def _unit(metric: str) -> str:
    return "perplexity" if metric.startswith("perplexity") else "share"


def _heading(task: str, metric: str, unit: str, rows: pl.DataFrame) -> str:
    """The column's name, and why there is nothing of ours in it."""
    name = f"{task_label(task)} · {metric_label(metric)}" + (", %" if unit == "share" else "")
    if rows.is_empty():
        return f"{name} · not asked in this study"
    (note,) = rows.select("status", "note").head(1).iter_rows()
    return name if note[0] == MEASURED else f"{name} · not measured: {note[1]}"


def _with_interval(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return NOTHING
    return with_interval(cell["value"], cell["low"], cell["high"], cell["unit"])


def _difference(tested: Comparison | None) -> str:
    """The tested model's lead with its interval, and a star if it is shown."""
    if tested is None:
        return NOTHING
    found = with_interval(tested.difference, tested.low, tested.high, tested.unit, sign=True)
    return found + ("" if tested.verdict is Verdict.OPEN else "*")
