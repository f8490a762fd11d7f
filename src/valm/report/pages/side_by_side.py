"""Two studies as one page: what differs in their configurations, and in their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from valm.core.manifest import Manifest
from valm.report.exhibits import Table
from valm.report.figures.style import in_reading_order, metric_label, model_label, task_label
from valm.report.pages.shell import page
from valm.report.tables.layout import table
from valm.report.words.comparisons import Comparison, Verdict
from valm.report.words.numbers import NOTHING, number, probability, score, with_interval


def configuration_of(manifests: Mapping[str, Manifest]) -> dict[str, Any]:
    """The configuration that a study's manifests were made with, by dotted key path.

    Jobs are handed only what they read, of a list of named entries often one; together they tell all
    that could change a result.
    """
    known: dict[str, Any] = {}
    for manifest in manifests.values():
        for path, node in manifest.recipe.section.items():
            known[path] = _joined(known.get(path), node)
    return dict(sorted(known.items()))


def _joined(old: Any, new: Any) -> Any:
    """Two nodes of a key path as one: named entries are put together, keys that others left out too."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _joined(old.get(key), new.get(key, old.get(key))) for key in old | new}
    if _named(old) and _named(new):
        entries = {entry["name"]: entry for entry in old}
        for entry in new:
            entries[entry["name"]] = _joined(entries.get(entry["name"]), entry)
        return [entries[name] for name in sorted(entries)]
    return new or old  # a list is empty where a job has no use for it


def _named(node: Any) -> bool:
    return isinstance(node, list) and all(isinstance(e, dict) and "name" in e for e in node)


def by_name(node: Any) -> Any:
    """A configuration whose lists of named entries are mappings: what differs is told entry by entry."""
    if isinstance(node, Mapping):
        return {key: by_name(value) for key, value in node.items()}
    if node and _named(node):
        return {entry["name"]: by_name(entry) for entry in node}
    return node


def settings_table(changes: Sequence[tuple[str, str]], name: str = "settings") -> Table:
    """The keys whose values differ, each with the first study's value and the second's."""
    rows = {"key": [key for key, _ in changes], "change": [words for _, words in changes]}
    frame = pl.DataFrame(rows, schema={"key": pl.String, "change": pl.String})
    caption = "What the two studies were configured with, where it differs: the first's value, then the second's."
    return table(name, caption, frame, labels={"key": "Key", "change": "First → second"})


def verdict_of(change: Mapping[str, Any]) -> str:
    """What may be said of one score's difference; empty where nothing was tested."""
    if change["p_holm"] is None:
        return str(change["note"] or NOTHING)
    rival = (change["model"], change["control"])
    keys = ("task", "metric", "definition", "unit", "difference", "low", "high", "p_holm", "n")
    values = {key: change[key] for key in (*keys, "seeds", "higher_is_better")}
    verdict = Comparison(first=rival, second=rival, **values).verdict
    return {
        Verdict.GAIN: "the first is better",
        Verdict.LOSS: "the second is better",
        Verdict.OPEN: "no difference shown",
    }[verdict]


def readable_changes(changes: pl.DataFrame) -> pl.DataFrame:
    """The scores' differences as text: ``task, model, first, second, difference, p, says, n``."""
    order = in_reading_order(changes["task"].unique(maintain_order=True))
    rows = sorted(changes.to_dicts(), key=lambda row: order.index(row["task"]))
    return pl.DataFrame(
        [
            {
                "task": f"{task_label(r['task'])} · {metric_label(r['metric'])}, {r['definition']}",
                "model": model_label(r["model"], r["control"]),
                "first": score(r["first"], r["unit"]),
                "second": score(r["second"], r["unit"]),
                "difference": with_interval(
                    r["difference"], r["low"], r["high"], r["unit"], sign=True
                ),
                "p": probability(r["p_holm"]),
                "says": verdict_of(r),
                "n": number(r["n"]),
            }
            for r in rows
        ],
        schema=dict.fromkeys(
            ("task", "model", "first", "second", "difference", "p", "says", "n"), pl.String
        ),
    )


def changes_table(changes: pl.DataFrame, name: str = "changes") -> Table:
    """Every score that both studies have, with its tested difference."""
    caption = (
        "Differences first minus second, over the same items and all seeds, with intervals; p values are corrected by Holm's method"
        " over all rows of one definition. Retraining alone moves scores too: the seeds' spread stands in each study's report."
    )
    labels = {
        "model": "Model", "first": "First", "second": "Second", "difference": "Difference",
        "p": "p (Holm)", "says": "Says", "n": "n",
    }  # fmt: skip
    right = ("first", "second", "difference", "p", "n")
    shown = readable_changes(changes)
    return table(name, caption, shown, data=changes, labels=labels, group="task", right=right)


def comparison_page(
    first: Path, second: Path, settings: Sequence[tuple[str, str]], changes: pl.DataFrame
) -> str:
    """The whole page; it loads nothing."""
    shown = sum(verdict_of(row).endswith("better") for row in changes.to_dicts())
    settled = f"{number(shown)} of {number(len(changes))} scores differ beyond chance."
    body = (
        '<header class="title" id="both"><p class="kicker">Two studies</p>'
        f"<h1>{escape(str(first))} and {escape(str(second))}</h1>"
        f'<p class="lead">{number(len(settings))} settings differ; {settled}</p></header>'
        f'<h2 id="settings">Settings</h2>{settings_table(settings)._repr_html_()}'
        f'<h2 id="scores">Scores</h2>{changes_table(changes)._repr_html_()}'
    )
    contents = {"#both": "Both", "#settings": "Settings", "#scores": "Scores"}
    return page(f"{first} and {second}", contents, body)
