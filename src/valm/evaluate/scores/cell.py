"""``score-cell``: one cell of the score table, from one model, on request; no other model is needed.

Its rows are those of ``scores.parquet`` for this model, task and seed, to the last digit: the resamples
behind an interval depend on task and metric only.
"""

from __future__ import annotations

from pathlib import Path

import torch

from valm.config.evaluate import Statistics
from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.evaluate.answers.predict import Shown, answers_of_models, status_for
from valm.evaluate.questions.prepared import KIND as TASK_KIND
from valm.evaluate.questions.prepared import MEASURED, NOT_ASKED
from valm.evaluate.scores.score import by_rival, metrics_of, resamples_of, score_rows, unavailable


def score_cell(
    job: Job,
    *,
    model: str,
    seed: int,
    request: Path,
    trained: Path,
    output: Path,
    shown: Shown | None = None,
) -> None:
    """Write ``seed<N>.json``: the scores of one seed of a model on a task, under every control.

    Args:
        model: Name of the variant.
        seed: The model's own seed.
        request: Manifest of the prepared task.
        trained: Manifest of the trained model.
        output: ``seed<N>.manifest.json``.
        shown: Where its pictures come from, for a variant that is given any.
    """
    torch.set_num_threads(job.threads)
    settings = job.settings("evaluate.statistics", Statistics)
    task = read_manifest(request, TASK_KIND).facts
    rows = []
    status = status_for(job, task)
    if status == MEASURED:
        answers = answers_of_models(job, model, request, [trained], shown)
        for metric in metrics_of(task, by_rival(model, answers)):
            counts = resamples_of(metric, settings, job.seed)
            scored = score_rows(metric, settings, counts, by_prompt=())
            rows += [row for row in scored if row["seed"] == seed]
    elif status != NOT_ASKED:
        rows += unavailable(task)
    cell = output.with_name(f"seed{seed}.json")
    write_json(cell, {"model": model, "task": task["task"], "seed": seed, "scores": rows})
    job.finish(
        output,
        kind="cell",
        rows=len(rows),
        files=[cell],
        parents=[request, trained, *(shown.parents if shown else [])],
    )
