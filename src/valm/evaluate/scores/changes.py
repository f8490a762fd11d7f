"""``score-changes``: a recipe beside itself with one thing changed at a time, each with several seeds.

Every change and every seed is a study of its own, with an encoder of its own. The seeds of one change
are pooled inside each item, as the seeds of a model are; so the intervals are over items, and what
another encoder would have given stands in the spread of the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from valm.config.evaluate import Statistics
from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.seeding import numpy_generator
from valm.errors import InputError
from valm.evaluate.questions.prepared import MEASURED
from valm.evaluate.scores.metrics import PERPLEXITIES
from valm.evaluate.scores.score import (
    POOLED,
    Metric,
    Rival,
    frames_of,
    metrics_of,
    resamples_of,
)
from valm.evaluate.scores.statistics import Floats, holm, interval, paired_difference, pooled

KIND = "changes"
PLAIN, WITH_PICTURES = "gpt2_star", "valm"
LABELS = {
    "task": pl.String, "metric": pl.String, "definition": pl.String, "unit": pl.String,
    "change": pl.String,
}  # fmt: skip
SCORES = LABELS | {
    "model": pl.String, "seed": pl.Int64, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "n": pl.Int64, "chance": pl.Float64, "majority": pl.Float64,
}  # fmt: skip
DIFFERENCES = LABELS | {
    "against": pl.String, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64,
    "p": pl.Float64, "p_holm": pl.Float64, "n": pl.Int64, "seeds": pl.Int64,
}  # fmt: skip
AGAINST_RECIPE, AGAINST_PLAIN = "recipe", PLAIN


@dataclass(frozen=True)
class Part:
    """One study of an ablation.

    Attributes:
        change: What it changes; the first part's change is the recipe itself.
        seed: The seed of its encoder and of its models.
        scores: ``scores.manifest.json``.
    """

    change: str
    seed: int
    scores: Path


def score_changes(job: Job, *, parts: Sequence[Part], output: Path) -> None:
    """Write ``change_scores.parquet`` and ``change_differences.parquet``.

    Args:
        parts: All changes with all seeds, those of the recipe as it is first.
        output: ``changes.manifest.json``.

    Raises:
        InputError: A part lacks a task that the first one has measured, or was asked other items.
    """
    settings = job.settings("evaluate.statistics", Statistics)
    scores: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for task in _measured_tasks(parts[0]):
        facts = read_manifest(_task(parts[0], task)).facts
        for metric in metrics_of(facts, _frames(parts, task)):
            counts = resamples_of(metric, settings, job.seed)
            scores += _scores(metric, settings, counts)
            differences += _differences(metric, parts[0].change, settings, counts, job.seed)
    for definition in ("legacy", "corrected"):
        tested = [row for row in differences if row["definition"] == definition]
        for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_holm"] = p
    files = []
    for name, rows, schema in (
        ("scores", scores, SCORES),
        ("differences", differences, DIFFERENCES),
    ):
        files.append(output.with_name(f"change_{name}.parquet"))
        with atomic_path(files[-1]) as path:
            pl.DataFrame(rows, schema=schema).write_parquet(path)
    job.finish(
        output,
        kind=KIND,
        rows=len(scores),
        files=files,
        parents=[part.scores for part in parts],
        facts={"changes": list(dict.fromkeys(part.change for part in parts))},
    )


def _task(part: Part, task: str) -> Path:
    return part.scores.parent / "tasks" / f"{task}.manifest.json"


def _measured_tasks(part: Part) -> list[str]:
    found = sorted((part.scores.parent / "tasks").glob("*.manifest.json"))
    facts = [read_manifest(path).facts for path in found]
    return [str(task["task"]) for task in facts if task["status"] == MEASURED]


def _frames(parts: Sequence[Part], task: str) -> dict[Rival, dict[int, pl.DataFrame]]:
    """One task's answers: a rival is a change, its "control" the model that answers."""
    found: dict[Rival, dict[int, pl.DataFrame]] = {}
    for part in parts:
        folder = part.scores.parent / "predictions"
        answers = [folder / model / f"{task}.manifest.json" for model in (PLAIN, WITH_PICTURES)]
        own = {
            rival.model: frame
            for rival, by_seed in frames_of([a for a in answers if a.is_file()], task).items()
            for frame in by_seed.values()
            if rival == Rival.named(rival.model)
        }
        if WITH_PICTURES not in own:
            raise InputError(
                f"a part of the ablation has no answers of {WITH_PICTURES} to {task}",
                where=part.scores,
                cure="run the ablation's study again",
            )
        for model, frame in own.items():
            found.setdefault(Rival(part.change, model), {})[part.seed] = frame
    return found


def _labels(metric: Metric, rival: Rival) -> dict[str, Any]:
    perplexity = metric.definition["scorer"] in PERPLEXITIES
    return {
        "task": metric.task,
        "metric": metric.definition["metric"],
        "definition": metric.definition["definition"],
        "unit": "perplexity" if perplexity else "share",
        "change": rival.model,
    }


def _scores(metric: Metric, settings: Statistics, counts: Floats) -> Iterator[dict[str, Any]]:
    """A row a change, model and seed, and one that pools the seeds."""
    for rival, by_seed in metric.scores.items():
        for seed, items in (*by_seed.items(), (POOLED, pooled(list(by_seed.values())))):
            low, high = interval(items, counts, settings.confidence)
            yield _labels(metric, rival) | {
                "model": rival.control, "seed": seed, "value": items.value, "low": low, "high": high,
                "n": len(items.items), "chance": metric.baselines.chance,
                "majority": metric.baselines.majority,
            }  # fmt: skip


def _differences(
    metric: Metric, recipe: str, settings: Statistics, counts: Floats, seed: int
) -> Iterator[dict[str, Any]]:
    """Each change against the recipe, and with pictures against without under the same change."""
    means = {rival: pooled(list(seeds.values())) for rival, seeds in metric.scores.items()}
    for rival, mean in means.items():
        if rival.control != WITH_PICTURES:
            continue
        against = {AGAINST_PLAIN: Rival(rival.model, PLAIN)}
        if rival.model != recipe:
            against[AGAINST_RECIPE] = Rival(recipe, WITH_PICTURES)
        for name, other in against.items():
            if other not in means:
                continue
            generator = numpy_generator(seed, "changes", metric.task, metric.definition["metric"])
            found = paired_difference(mean, means[other], counts, settings.confidence, generator)
            yield _labels(metric, rival) | {
                "against": name, "difference": found.value, "low": found.low, "high": found.high,
                "p": found.p, "p_holm": None, "n": len(mean.items),
                "seeds": len(metric.scores[rival]),
            }  # fmt: skip
