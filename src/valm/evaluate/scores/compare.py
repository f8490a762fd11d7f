"""Two finished studies beside each other: what each model scores in both, paired item by item.

The same tests as within a study: a paired bootstrap and exchanges within items, corrected by Holm over
all comparisons of one definition. Only answers to the same items can be paired.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from valm.config.evaluate import Statistics
from valm.core.manifest import Manifest, read_manifest
from valm.core.seeding import numpy_generator
from valm.errors import InputError
from valm.evaluate.questions.prepared import MEASURED
from valm.evaluate.scores.metrics import PERPLEXITIES
from valm.evaluate.scores.score import Metric, frames_of, metrics_of, resamples_of
from valm.evaluate.scores.statistics import holm, paired_difference, pooled

SUFFIX = ".manifest.json"
CHANGES = {
    "task": pl.String, "metric": pl.String, "definition": pl.String, "model": pl.String,
    "control": pl.String, "unit": pl.String, "higher_is_better": pl.Boolean, "first": pl.Float64,
    "second": pl.Float64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64,
    "p": pl.Float64, "p_holm": pl.Float64, "n": pl.Int64, "seeds": pl.Int64, "note": pl.String,
}  # fmt: skip
OTHER_ITEMS = "asked about other items"


def compare_scores(first: Path, second: Path) -> pl.DataFrame:
    """Every score that both studies measured, with the tested difference first minus second.

    Args:
        first: Results folder of a finished study; its settings of the statistics are used.
        second: Results folder of another.

    Returns:
        A row a task, metric, definition, model and control; a ``note`` in place of a test where the
        items differ.

    Raises:
        InputError: A folder holds no finished study.
    """
    recipe = _scores(first).recipe.section
    _scores(second)
    settings = Statistics.model_validate(recipe["evaluate.statistics"])
    rows: list[dict[str, Any]] = []
    for task in sorted(_tasks(first) & _tasks(second)):
        ours, theirs = (_metrics(results, task) for results in (first, second))
        for key in ours.keys() & theirs.keys():
            rows += _changes(ours[key], theirs[key], settings, int(recipe["seed"]))
    rows.sort(key=lambda row: [row[name] for name in list(CHANGES)[:5]])
    for definition in ("legacy", "corrected"):
        tested = [row for row in rows if row["definition"] == definition and row["p"] is not None]
        for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_holm"] = p
    return pl.DataFrame(rows, schema=CHANGES)


def _scores(results: Path) -> Manifest:
    path = results / "evaluate" / f"scores{SUFFIX}"
    if not path.is_file():
        raise InputError(
            "there is no finished study",
            where=results,
            cure="name the folder of a study's results, such as results or results/studies/photos",
        )
    return read_manifest(path, "scores")


def _tasks(results: Path) -> set[str]:
    """Names of the tasks that a study measured."""
    prepared = (results / "evaluate" / "tasks").glob(f"*{SUFFIX}")
    return {
        path.name.removesuffix(SUFFIX)
        for path in prepared
        if read_manifest(path).facts["status"] == MEASURED
    }


def _metrics(results: Path, task: str) -> dict[tuple[str, str], Metric]:
    """A task's metrics, by name and definition."""
    folder = results / "evaluate"
    answers = [
        p for of in ("predictions", "baselines") for p in (folder / of).rglob(f"{task}{SUFFIX}")
    ]
    facts = read_manifest(folder / "tasks" / f"{task}{SUFFIX}").facts
    return {
        (metric.definition["metric"], metric.definition["definition"]): metric
        for metric in metrics_of(facts, frames_of(sorted(answers), task))
    }


def _changes(
    ours: Metric, theirs: Metric, settings: Statistics, seed: int
) -> Iterator[dict[str, Any]]:
    """A row for each model and control that both have."""
    counts = resamples_of(ours, settings, seed)
    perplexity = ours.definition["scorer"] in PERPLEXITIES
    for rival in ours.scores:
        if rival not in theirs.scores:
            continue
        left, right = (pooled(list(metric.scores[rival].values())) for metric in (ours, theirs))
        row = dict.fromkeys(CHANGES) | {
            "task": ours.task,
            "metric": ours.definition["metric"],
            "definition": ours.definition["definition"],
            "model": rival.model,
            "control": rival.control,
            "unit": "perplexity" if perplexity else "share",
            "higher_is_better": not perplexity,
            "first": left.value,
            "second": right.value,
            "n": len(left.items),
            "seeds": min(len(metric.scores[rival]) for metric in (ours, theirs)),
        }
        if left.items != right.items:
            yield row | {"note": OTHER_ITEMS}
            continue
        generator = numpy_generator(seed, "studies", ours.task, ours.definition["metric"])
        found = paired_difference(left, right, counts, settings.confidence, generator)
        yield row | {
            "difference": found.value, "low": found.low, "high": found.high, "p": found.p,
        }  # fmt: skip
