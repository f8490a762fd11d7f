"""``write-changes``: an ablation's one table and one figure, as a page and as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from valm.core.atomic import write_text
from valm.core.digest import canonical_json
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.report.figures.changes import changes_figure, changes_table
from valm.report.pages.shell import page
from valm.report.words.comparisons import CORRECTED, MEASURED, headline_metrics


def write_changes(job: Job, *, scores: Path, settings: Sequence[Path], output: Path) -> None:
    """Write ``changes.html``, ``.csv``, ``.tex`` and ``.svg``.

    Args:
        scores: ``changes.manifest.json``.
        settings: The file of each change, named after it.
        output: ``changes.manifest.json`` of the report.
    """
    order = read_manifest(scores, "changes").facts["changes"]
    words = {file.stem: "; ".join(_settings(_read(file))) for file in settings}
    rows, differences = (
        headline_shares(pl.read_parquet(scores.with_name(f"change_{name}.parquet")))
        for name in ("scores", "differences")
    )
    figure = changes_figure(rows, order)
    shown = changes_table(rows, differences, order, words)
    study = job.value("study", str)
    body = (
        f'<header class="title" id="changes"><p class="kicker">Study {escape(study)}</p>'
        f"<h1>One thing changed at a time</h1></header>{figure._repr_html_()}{shown._repr_html_()}"
    )
    texts = {
        "html": page(f"{study}: one thing changed at a time", {"#changes": "Changes"}, body),
        "csv": shown.frame.write_csv(),
        "tex": shown.latex,
        "svg": figure.svg,
    }
    files = [output.with_name(f"changes.{kind}") for kind in texts]
    for file, text in zip(files, texts.values(), strict=True):
        write_text(file, text)
    job.finish(output, kind="report", rows=len(order), files=files, parents=[scores])
    logger.info("the changes: %s", files[0])


def headline_shares(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of each task's headline metric, corrected, of metrics that are shares."""
    shares = rows.filter(unit="share", definition=CORRECTED)
    chosen = headline_metrics(shares.with_columns(status=pl.lit(MEASURED)))
    return shares.filter(
        pl.any_horizontal(
            (pl.col("task") == task) & (pl.col("metric") == metric)
            for task, metric in chosen.items()
        )
    )


def _read(file: Path) -> Mapping[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


def _settings(node: Any, path: str = "") -> Iterator[str]:
    """Every key below a node with its value."""
    if not isinstance(node, Mapping):
        yield f"{path}: {canonical_json(node)}"
        return
    for key, value in node.items():
        yield from _settings(value, f"{path}.{key}" if path else str(key))
