"""``evaluate-baseline``: a model of others answers a prepared task in its own vocabulary."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import torch

from valm.config.evaluate import BaselineEntry
from valm.core.hub import digest_of_weights
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.evaluate.answers.baseline import BASELINES, AskedTexts
from valm.evaluate.answers.checkpoint import Checkpoint
from valm.evaluate.answers.predict import OWN, save_answers
from valm.evaluate.questions.prepared import KIND as TASK_KIND
from valm.evaluate.questions.prepared import MEASURED, NOT_ASKED, read_requests, read_texts

SEED = 0  # a baseline is one model


def evaluate_baseline(job: Job, *, task: str, request: Path, output: Path) -> None:
    """Write ``<task>.parquet`` as ``evaluate-model`` does: one model, its own control, seed 0.

    A task of passages is asked only of kinds that predict them; the manifest says so.

    Args:
        task: Name of the task.
        request: Manifest of the prepared task.
        output: ``<task>.manifest.json`` in the baseline's folder.

    Raises:
        SourceError: The checkpoint is no folder and cannot be had from the hub.
        InputError: The checkpoint is of another kind.
        IntegrityError: Its weights are others than those stated.
    """
    torch.set_num_threads(job.threads)
    (entry,) = job.value("evaluate.baselines", list[BaselineEntry])
    facts = read_manifest(request, TASK_KIND).facts
    baseline, status, weights = BASELINES.get(entry.kind), facts["status"], None
    answers = pl.DataFrame()
    if status == MEASURED and not (facts["choices"] or baseline.reads_passages):
        logger.info("a %s has no perplexity: %s is not asked of %s", entry.kind, task, entry.name)
        status = NOT_ASKED
    if status == MEASURED:
        checkpoint = Checkpoint(entry.checkpoint, entry.revision, entry.sha256)
        weights = digest_of_weights(checkpoint.folder)
        items = read_requests(request)[1].with_columns(seed=pl.lit(SEED), control=pl.lit(OWN))
        asked = AskedTexts(read_texts(request), items, facts["choices"], facts["definitions"])
        answers = baseline.answers(checkpoint, asked)
    named = {"model": entry.name, "task": task, "status": status, "weights": weights}
    save_answers(job, output, answers, [request], named)
