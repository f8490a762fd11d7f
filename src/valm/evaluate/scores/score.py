"""``score-models``: all answers become scores with intervals, and the named pairs are tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from valm.config.evaluate import Statistics
from valm.core.atomic import atomic_path, write_json
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.progress import track
from valm.core.seeding import numpy_generator
from valm.evaluate.answers.predict import KIND as PREDICTIONS_KIND
from valm.evaluate.answers.predict import OWN
from valm.evaluate.questions.prepared import KIND as TASK_KIND
from valm.evaluate.questions.prepared import MEASURED, NOT_ASKED
from valm.evaluate.scores.metrics import PER_PROMPT, PERPLEXITIES, SCORERS, Baselines, has_items
from valm.evaluate.scores.statistics import (
    Floats,
    ItemScores,
    holm,
    interval,
    paired_difference,
    pooled,
    resamples,
)

POOLED = -1  # the seed of rows that pool all seeds

SCORES = {
    "task": pl.String, "metric": pl.String, "definition": pl.String, "version": pl.Int64,
    "model": pl.String, "control": pl.String, "seed": pl.Int64, "value": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "seed_spread": pl.Float64, "prompt_spread": pl.Float64,
    "n": pl.Int64, "chance": pl.Float64, "majority": pl.Float64, "higher_is_better": pl.Boolean,
    "unit": pl.String, "status": pl.String, "note": pl.String, "licence": pl.String,
}  # fmt: skip
COMPARISONS = {
    "task": pl.String, "metric": pl.String, "definition": pl.String, "first_model": pl.String,
    "first_control": pl.String, "second_model": pl.String, "second_control": pl.String,
    "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64, "p": pl.Float64,
    "p_holm": pl.Float64, "n": pl.Int64, "seeds": pl.Int64,
}  # fmt: skip
PROMPTS = {
    "task": pl.String, "metric": pl.String, "definition": pl.String, "model": pl.String,
    "control": pl.String, "seed": pl.Int64, "prompt": pl.String, "value": pl.Float64, "n": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True)
class Rival:
    """A model with the pictures that it was shown: "valm" or "valm:permuted"."""

    model: str
    control: str

    @classmethod
    def named(cls, name: str) -> Rival:
        """Read "model" or "model:control"."""
        model, _, control = name.partition(":")
        return cls(model, control or OWN)

    def __str__(self) -> str:
        return self.model if self.control == OWN else f"{self.model}:{self.control}"


@dataclass(frozen=True)
class Metric:
    """One metric of one task, with every rival's scores by seed."""

    task: str
    definition: Mapping[str, Any]
    licence: str
    scores: Mapping[Rival, Mapping[int, ItemScores]]
    baselines: Baselines


def score_models(
    job: Job, *, predictions: Sequence[Path], requests: Sequence[Path], output: Path
) -> None:
    """Write ``scores.parquet``, ``comparisons.parquet``, ``per_prompt.parquet``, ``metrics.json``.

    Args:
        predictions: Manifests of all models' predictions.
        requests: Manifests of all prepared tasks.
        output: ``scores.manifest.json``.
    """
    settings = job.settings("evaluate.statistics", Statistics)
    scores: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    prompts: list[dict[str, Any]] = []
    for request in track(requests, "scoring", len(requests), "tasks"):
        task = read_manifest(request, TASK_KIND).facts
        if task["status"] != MEASURED:
            scores += unavailable(task)
            continue
        frames = frames_of(predictions, task["task"])
        for metric in metrics_of(task, frames):
            counts = resamples_of(metric, settings, job.seed)
            scores += score_rows(metric, settings, counts, list(prompt_rows(metric, frames)))
            comparisons += _comparison_rows(metric, settings, counts, job.seed)
            prompts += prompt_rows(metric, frames)
    for definition in ("legacy", "corrected"):
        tested = [row for row in comparisons if row["definition"] == definition]
        for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_holm"] = p
    files = []
    tables = (("scores", scores, SCORES), ("comparisons", comparisons, COMPARISONS),
              ("per_prompt", prompts, PROMPTS))  # fmt: skip
    for name, rows, schema in tables:
        files.append(output.with_name(f"{name}.parquet"))
        with atomic_path(files[-1]) as path:
            pl.DataFrame(rows, schema=schema).write_parquet(path)
    files.append(output.with_name("metrics.json"))
    write_json(files[-1], _headline(scores))
    job.finish(
        output, kind="scores", rows=len(scores), files=files, parents=[*predictions, *requests]
    )


Frames = Mapping[Rival, Mapping[int, pl.DataFrame]]


def frames_of(predictions: Sequence[Path], task: str) -> Frames:
    """One task's answers by rival and seed."""
    found: dict[Rival, dict[int, pl.DataFrame]] = {}
    for manifest in predictions:
        facts = read_manifest(manifest, PREDICTIONS_KIND).facts
        if facts["task"] != task or facts["status"] == NOT_ASKED:
            continue
        found |= by_rival(facts["model"], pl.read_parquet(manifest.with_name(f"{task}.parquet")))
    return found


def by_rival(model: str, answers: pl.DataFrame) -> dict[Rival, dict[int, pl.DataFrame]]:
    """A model's answers by control and seed."""
    found: dict[Rival, dict[int, pl.DataFrame]] = {}
    for (control, seed), frame in answers.group_by("control", "seed", maintain_order=True):
        found.setdefault(Rival(model, str(control)), {})[int(str(seed))] = frame
    return found


def metrics_of(task: Mapping[str, Any], frames: Frames) -> Iterator[Metric]:
    """All metrics of a task that its answers have items for.

    Args:
        task: Facts of the prepared task.
        frames: Its answers by rival and seed.
    """
    for definition in task["definitions"]:
        frame = next(iter(next(iter(frames.values())).values()))
        if has_items(frame, definition["scorer"], definition["part"]):
            yield _metric(task, definition, frames)


def _metric(task: Mapping[str, Any], definition: Mapping[str, Any], frames: Frames) -> Metric:
    scorer, part = SCORERS[definition["scorer"]], definition["part"]
    scored = {
        rival: {seed: scorer(frame, part) for seed, frame in by_seed.items()}
        for rival, by_seed in frames.items()
    }
    baselines = next(iter(next(iter(scored.values())).values()))[1]
    scores = {
        rival: {seed: items for seed, (items, _) in by_seed.items()}
        for rival, by_seed in scored.items()
    }
    return Metric(task["task"], definition, task["licence"], scores, baselines)


def _labels(metric: Metric) -> dict[str, str]:
    names = ("metric", "definition")
    return {"task": metric.task} | {name: metric.definition[name] for name in names}


def resamples_of(metric: Metric, settings: Statistics, seed: int) -> Floats:
    """How often each resample draws each item of a metric: [resamples, items]."""
    items = next(iter(next(iter(metric.scores.values())).values())).items
    generator = numpy_generator(seed, "bootstrap", metric.task, metric.definition["metric"])
    return resamples(len(items), settings.bootstrap_samples, generator)


def score_rows(
    metric: Metric, settings: Statistics, counts: Floats, by_prompt: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A row for each rival and seed, and one that pools the seeds and tells how they spread.

    Args:
        by_prompt: What ``prompt_rows`` gives; prompts spread around their mean, too.
    """
    perplexity = metric.definition["scorer"] in PERPLEXITIES
    for rival, by_seed in metric.scores.items():
        prompts = [row for row in by_prompt if Rival(row["model"], row["control"]) == rival]
        spreads = {
            "seed_spread": _spread([items.value for items in by_seed.values()]),
            "prompt_spread": _spread(_means_by_prompt(prompts)),
        }
        for number, items in (*by_seed.items(), (POOLED, pooled(list(by_seed.values())))):
            low, high = interval(items, counts, settings.confidence)
            known = spreads if number == POOLED else dict.fromkeys(spreads)
            yield (
                _labels(metric)
                | known
                | {
                    "version": metric.definition["version"],
                    "model": rival.model,
                    "control": rival.control,
                    "seed": number,
                    "value": items.value,
                    "low": low,
                    "high": high,
                    "n": len(items.items),
                    "chance": metric.baselines.chance,
                    "majority": metric.baselines.majority,
                    "higher_is_better": not perplexity,
                    "unit": "perplexity" if perplexity else "share",
                    "status": MEASURED,
                    "note": metric.definition["text"],
                    "licence": metric.licence,
                }
            )


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds or prompts; None if there is but one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _means_by_prompt(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Each prompt's accuracy, the mean of its seeds."""
    by_prompt: dict[str, list[float]] = {}
    for row in rows:
        by_prompt.setdefault(row["prompt"], []).append(row["value"])
    return [float(np.mean(values)) for values in by_prompt.values()]


def _headline(scores: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """The corrected metrics, all seeds pooled, by task, metric and rival: what ``dvc metrics`` shows."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in scores:
        if row["status"] == MEASURED and row["definition"] == "corrected" and row["seed"] == POOLED:
            rivals = found.setdefault(row["task"], {}).setdefault(row["metric"], {})
            rivals[str(Rival(row["model"], row["control"]))] = row["value"]
    return found


def _comparison_rows(
    metric: Metric, settings: Statistics, counts: Floats, seed: int
) -> Iterator[dict[str, Any]]:
    """A row for each pair of rivals that the study names and that was measured."""
    for names in settings.comparisons:
        first, second = map(Rival.named, names)
        if first not in metric.scores or second not in metric.scores:
            continue
        generator = numpy_generator(seed, "comparison", metric.task, metric.definition["metric"])
        left, right = (pooled(list(metric.scores[rival].values())) for rival in (first, second))
        found = paired_difference(left, right, counts, settings.confidence, generator)
        yield _labels(metric) | {
            "first_model": first.model,
            "first_control": first.control,
            "second_model": second.model,
            "second_control": second.control,
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "p_holm": None,
            "n": len(left.items),
            "seeds": len(metric.scores[first]),
        }


def prompt_rows(metric: Metric, frames: Frames) -> Iterator[dict[str, Any]]:
    """Each prompt's own accuracy."""
    shares_of = PER_PROMPT.get(metric.definition["scorer"])
    if shares_of is None:
        return
    for rival, by_seed in frames.items():
        for seed, frame in by_seed.items():
            shares = shares_of(frame, metric.definition["part"])
            for prompt, value in zip(shares.prompts, shares.values.mean(axis=0), strict=True):
                yield _labels(metric) | {
                    "model": rival.model,
                    "control": rival.control,
                    "seed": seed,
                    "prompt": prompt,
                    "value": float(value),
                    "n": len(shares.items),
                }


def unavailable(task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows that say why a task was not measured."""
    for definition in task["definitions"]:
        yield dict.fromkeys(SCORES) | {
            "task": task["task"],
            "metric": definition["metric"],
            "definition": definition["definition"],
            "version": definition["version"],
            "seed": POOLED,
            "status": task["status"],
            "note": task["note"],
            "licence": task["licence"],
        }
