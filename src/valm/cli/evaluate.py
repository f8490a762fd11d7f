"""Verbs of evaluate: requests, answers, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, Code, ConfigFiles, Log, Section, Threads, open_job

Output = Annotated[Path, typer.Option(help="Manifest to write.")]
TaskName = Annotated[str, typer.Option(help="Name of the task.")]
Vectors = Annotated[Path, typer.Option(help="Manifest of the picture vectors.")]


def prepare_task(
    task: TaskName,
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    encoder: Annotated[Path, typer.Option(help="Manifest of the encoder.")],
    vectors: Vectors,
    index: Annotated[Path, typer.Option(help="Manifest of the index.")],
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    output: Output,
    raw: Annotated[list[Path] | None, typer.Option(help="Manifests of its raw files.")] = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Turn a task's prompts into tokens and retrieve the pictures of every token."""
    from valm.evaluate.definitions import TASKS
    from valm.evaluate.prepare import prepare_task as run

    job = open_job(
        "prepare-task", section=section, config=config, code=code, threads=threads, log=log,
        plugins=(TASKS.module(task),), task=task,
    )  # fmt: skip
    run(
        job, task=task, raw=raw or [], tokenizer=tokenizer, encoder=encoder, vectors=vectors,
        index=index, tokens=tokens, output=output,
    )  # fmt: skip


def evaluate_model(
    model: Annotated[str, typer.Option(help="Name of the variant.")],
    task: TaskName,
    request: Annotated[Path, typer.Option(help="Manifest of the prepared task.")],
    models: Annotated[list[Path], typer.Option(help="Manifests of its models, one a seed.")],
    vectors: Vectors,
    output: Output,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Let every seed of a model answer a task, with its own pictures and with the controls'."""
    from valm.evaluate.predict import evaluate_model as run

    job = open_job(
        "evaluate-model", section=section, config=config, code=code, threads=threads, log=log,
        model=model, task=task,
    )  # fmt: skip
    run(job, model=model, task=task, request=request, models=models, vectors=vectors, output=output)


def score_models(
    predictions: Annotated[list[Path], typer.Option(help="Manifests of all predictions.")],
    requests: Annotated[list[Path], typer.Option(help="Manifests of all prepared tasks.")],
    output: Output,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Score all answers, with intervals, and test the study's pairs of models."""
    from valm.evaluate.score import score_models as run

    job = open_job(
        "score-models", section=section, config=config, code=code, threads=threads, log=log
    )
    run(job, predictions=predictions, requests=requests, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this phase."""
    app.command("prepare-task")(prepare_task)
    app.command("evaluate-model")(evaluate_model)
    app.command("score-models")(score_models)
