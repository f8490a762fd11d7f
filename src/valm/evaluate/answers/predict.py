"""``evaluate-model``: every seed of a model answers a task's requests, with its pictures and others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from valm.config.models import Variant
from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.progress import track
from valm.evaluate.answers.answering import Reader, choice_scores, passage_scores
from valm.evaluate.answers.gaps import gap_scores
from valm.evaluate.answers.illustrate import KIND as PICTURES_KIND
from valm.evaluate.answers.illustrate import TaskPictures
from valm.evaluate.answers.reading import Speaker
from valm.evaluate.questions.prepared import KIND as TASK_KIND
from valm.evaluate.questions.prepared import MEASURED, NOT_ASKED, Requests, read_requests
from valm.evaluate.scores.metrics import ALONE, CHOICE, CONTEXTS, FIRST_PIECE, SLIDING
from valm.models.language_model import LanguageModel
from valm.models.objective import OBJECTIVES
from valm.retrieve.showable import Showable
from valm.train.saved_model import check_fits, load_model

KIND = "predictions"
OWN = "own"  # the pictures that a model was trained with
ORACLE = "oracle"  # the control that is handed the things' own pictures instead of the retrieved


@dataclass(frozen=True)
class Shown:
    """Where a variant's pictures come from.

    Attributes:
        pictures: Manifest of the pictures of the task's tokens.
        vectors: Manifest of the picture vectors.
        retracted: Manifest of the pictures that no control may draw; None: there are none.
    """

    pictures: Path
    vectors: Path
    retracted: Path | None = None

    @property
    def parents(self) -> list[Path]:
        """All manifests."""
        return [self.pictures, self.vectors, *([self.retracted] if self.retracted else [])]


@dataclass(frozen=True)
class Asked:
    """A prepared task: its texts, a row about each, and what will be measured."""

    requests: Requests
    items: pl.DataFrame
    definitions: Sequence[Mapping[str, str]]


def evaluate_model(
    job: Job,
    *,
    model: str,
    task: str,
    request: Path,
    models: Sequence[Path],
    output: Path,
    shown: Shown | None = None,
) -> None:
    """Write ``<task>.parquet``: what each seed says to each request under each control.

    Args:
        model: Name of the variant.
        task: Name of the task.
        request: Manifest of the prepared task.
        models: Manifests of the variant's trained models, one a seed.
        output: ``<task>.manifest.json`` in the variant's folder.
        shown: Where its pictures come from, for a variant that is given any.
    """
    torch.set_num_threads(job.threads)
    status = status_for(job, read_manifest(request, TASK_KIND).facts)
    answers = pl.DataFrame()
    if status == MEASURED:
        answers = answers_of_models(job, model, request, models, shown)
    parents = [request, *models, *(shown.parents if shown else [])]
    save_answers(job, output, answers, parents, {"model": model, "task": task, "status": status})


def save_answers(
    job: Job, output: Path, answers: pl.DataFrame, parents: Sequence[Path], facts: dict[str, Any]
) -> None:
    """Write a model's answers to a task, a row each, and their manifest.

    Args:
        output: ``<task>.manifest.json``; the answers lie beside it.
        facts: At least its model, task and status.
    """
    table = output.with_name(f"{facts['task']}.parquet")
    with atomic_path(table) as path:
        answers.write_parquet(path)
    job.finish(output, kind=KIND, rows=len(answers), files=[table], parents=parents, facts=facts)


def status_for(job: Job, task: Mapping[str, Any]) -> str:
    """The status of a prepared task for the job's variant: passages are asked of causal models only.

    Args:
        task: Facts of the prepared task.
    """
    (variant,) = job.value("models.variants", list[Variant])
    causal = OBJECTIVES.get(variant.objective).causal
    if task["status"] == MEASURED and not (causal or task["choices"]):
        logger.info("%s has no perplexity: %s is not asked of it", variant.name, task["task"])
        return NOT_ASKED
    return str(task["status"])


def answers_of_models(
    job: Job, model: str, request: Path, models: Sequence[Path], shown: Shown | None
) -> pl.DataFrame:
    """What each of a variant's models says to each request under each control, a row each."""
    facts = read_manifest(request).facts
    width = None if shown is None else _values(shown).shape[1]
    for path in models:
        check_fits(path, int(facts["vocabulary_size"]), width)
    asked = Asked(*read_requests(request), facts["definitions"])
    (variant,) = job.value("models.variants", list[Variant])
    controls = _controls(job, variant, shown)
    jobs = [(path, control) for path in models for control in controls]
    runs = track(jobs, f"{model} on {request.name.partition('.')[0]}", len(jobs), "runs")
    return pl.concat(
        [_answers(job, variant, path, control, asked, shown) for path, control in runs]
    )


def _controls(job: Job, variant: Variant, shown: Shown | None) -> list[str]:
    """Its own pictures, and the study's controls if it was trained on retrieved ones.

    Where nothing that is asked about has pictures of its own, there is no oracle.
    """
    if shown is None or not variant.takes_controls:
        return [OWN]
    controls = job.value("evaluate.controls", list[str])
    things = read_manifest(shown.pictures, PICTURES_KIND).facts["items_with_own"]
    return [OWN, *(name for name in controls if name != ORACLE or things)]


def _answers(
    job: Job,
    variant: Variant,
    path: Path,
    control: str,
    asked: Asked,
    shown: Shown | None,
) -> pl.DataFrame:
    """One model's answers under one control, a row a request (or a passage and context)."""
    model, info = load_model(path)
    reader = _reader(job, model, variant, control, shown)
    context = int(job.section["models.trunk"]["context_tokens"])
    labels = {"seed": pl.lit(int(info["seed"])), "control": pl.lit(control)}
    if len(asked.requests.choices):
        choices = choice_columns(reader, asked.requests, context)
        return asked.items.with_columns(**labels, **choices)
    return pl.concat(passage_rows(reader, asked, context)).with_columns(**labels)


def choice_columns(reader: Speaker, requests: Requests, context: int) -> dict[str, pl.Series]:
    """Each candidate's log-probability, and its first token's where some candidate has several.

    A model that is not causal is asked for what stands in a gap behind the question.
    """
    if isinstance(reader, Reader) and not reader.model.objective.causal:
        scores = gap_scores(reader, requests, context)
    else:
        scores = choice_scores(reader, requests, context)
    columns = {CHOICE: scores.wholes}
    if len(requests.endings):
        columns |= {FIRST_PIECE: scores.firsts}
    return {
        f"{name}{place}": pl.Series(values[:, place])
        for name, values in columns.items()
        for place in range(values.shape[1])
    }


def _reader(
    job: Job, model: LanguageModel, variant: Variant, control: str, shown: Shown | None
) -> Reader:
    """The model with its pictures; of a table of any size only the rows that are given are read."""
    if shown is None:
        return Reader(model, None, torch.empty(0, 0))
    values = _values(shown)
    found = TaskPictures.read(shown.pictures)
    ids = (found.own if control == ORACLE else found.ids)[:, : variant.top_k]
    pictures = variant.pictures if control == OWN else control
    showable = Showable.among(len(values), shown.retracted)
    return Reader.shown(model, pictures, ids, found.values, values, showable, job.seed)


def _values(shown: Shown) -> NDArray[np.float16]:
    """The values of all pictures, mapped, [N, V]."""
    values: NDArray[np.float16] = np.load(
        shown.vectors.with_name("values.npy"), mmap_mode="r", allow_pickle=False
    )
    return values


def passage_rows(reader: Speaker, asked: Asked, context: int) -> Iterator[pl.DataFrame]:
    """Sums over each passage's tokens: in blocks scored alone, then with a sliding context.

    A part of the passages is read in the contexts of its own metrics only.
    """
    requests, items = asked.requests, asked.items
    starts, lengths = requests.offsets[:-1], requests.lengths()
    last_word = items["last_word_tokens"].to_numpy()
    ends = requests.offsets[1:] - 1  # of the words; the end of text follows
    scores = None
    for name, stride in ((ALONE, context), (SLIDING, max(1, context // 2))):
        parts = {each["part"] for each in asked.definitions if CONTEXTS[each["scorer"]] == name}
        texts = np.flatnonzero(items["part"].is_in(list(parts)).to_numpy())
        scores = passage_scores(reader, requests, context, stride, texts, known=scores)
        sums = np.add.reduceat(scores.nats.astype(np.float64), starts)
        pieces = [scores.is_best[ends[text] - last_word[text] : ends[text]] for text in texts]
        yield items[texts].with_columns(
            context=pl.lit(name),
            tokens=pl.Series(lengths[texts] - 1),
            nats=pl.Series(sums[texts]),
            last_piece=pl.Series([bool(piece[-1]) for piece in pieces], dtype=pl.Boolean),
            whole_word=pl.Series([bool(piece.all()) for piece in pieces], dtype=pl.Boolean),
        )
