"""Verbs of evaluate: requests, answers, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb

Output = Annotated[Path, typer.Option(help="Manifest to write.")]
TaskName = Annotated[str, typer.Option(help="Name of the task.")]
Request = Annotated[Path, typer.Option(help="Manifest of the prepared task.")]
TaskPictures = Annotated[
    Path | None, typer.Option(help="Manifest of its tokens' pictures, if it is given any.")
]
Vectors = Annotated[Path | None, typer.Option(help="Manifest of the picture vectors.")]
Retracted = Annotated[Path | None, typer.Option(help="Manifest of the retracted pictures.")]


def prepare_task(
    options: JobOptions,
    task: TaskName,
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    output: Output,
    raw: Annotated[list[Path] | None, typer.Option(help="Manifests of its raw files.")] = None,
) -> None:
    """Turn a task's prompts into tokens."""
    from valm.evaluate.questions.prepare import prepare_task as run

    job = options.open_job(task=task)
    run(job, task=task, raw=raw or [], tokenizer=tokenizer, tokens=tokens, output=output)


def illustrate_task(
    options: JobOptions,
    task: TaskName,
    preset: Annotated[str, typer.Option(help="Name of the preset in retrieve.presets.")],
    request: Request,
    pictures: Annotated[Path, typer.Option(help="Manifest of the picture list.")],
    encoder: Annotated[Path, typer.Option(help="Manifest of the encoder.")],
    vectors: Annotated[Path, typer.Option(help="Manifest of the picture vectors.")],
    index: Annotated[Path, typer.Option(help="Manifest of the index that is searched.")],
    output: Output,
    retracted: Retracted = None,
) -> None:
    """Find the pictures of every token of a prepared task."""
    from valm.evaluate.answers.illustrate import illustrate_task as run

    job = options.open_job(encoder=encoder, preset=preset, task=task)
    run(
        job, request=request, pictures=pictures, encoder=encoder, vectors=vectors, index=index,
        output=output, retracted=retracted,
    )  # fmt: skip


def audit_leakage(
    options: JobOptions,
    requests: Annotated[list[Path], typer.Option(help="Manifests of the prepared tasks.")],
    pictures: Annotated[Path, typer.Option(help="Manifest of the picture list.")],
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    output: Output,
    retracted: Retracted = None,
) -> None:
    """List captions that state answers, and evaluated texts that are in the training text."""
    from valm.evaluate.leakage import audit_leakage as run

    job = options.open_job()
    run(
        job, requests=requests, pictures=pictures, tokens=tokens, output=output,
        retracted=retracted,
    )  # fmt: skip


def evaluate_model(
    options: JobOptions,
    model: Annotated[str, typer.Option(help="Name of the variant.")],
    task: TaskName,
    request: Request,
    models: Annotated[list[Path], typer.Option(help="Manifests of its models, one a seed.")],
    output: Output,
    pictures: TaskPictures = None,
    vectors: Vectors = None,
    retracted: Retracted = None,
) -> None:
    """Let every seed of a model answer a task, with its own pictures and with the controls'."""
    from valm.evaluate.answers.predict import Shown
    from valm.evaluate.answers.predict import evaluate_model as run

    job = options.open_job(model=model, task=task)
    shown = Shown(pictures, vectors, retracted) if pictures and vectors else None
    run(job, model=model, task=task, request=request, models=models, output=output, shown=shown)


def look_at_prompts(
    options: JobOptions,
    models: Annotated[
        list[Path], typer.Option(help="Manifests of models that read retrieved pictures, or none.")
    ],
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    pictures: Annotated[Path, typer.Option(help="Manifest of the picture list.")],
    encoder: Annotated[Path, typer.Option(help="Manifest of the encoder.")],
    vectors: Annotated[Path, typer.Option(help="Manifest of the picture vectors.")],
    index: Annotated[Path, typer.Option(help="Manifest of the index that is searched.")],
    preset: Annotated[str, typer.Option(help="Name of the preset whose pictures they read.")],
    output: Output,
    raw: Annotated[
        list[Path] | None, typer.Option(help="Manifests of the raw files of picture features.")
    ] = None,
    retracted: Retracted = None,
) -> None:
    """Write where models look in a few prompts, and what they answer when the pictures are others."""
    from valm.evaluate.answers.sights import Base
    from valm.evaluate.answers.sights import look_at_prompts as run

    job = options.open_job(encoder=encoder, preset=preset)
    base = Base(pictures, encoder, vectors, index, raw or [], retracted)
    run(job, models=models, tokenizer=tokenizer, base=base, output=output)


def score_models(
    options: JobOptions,
    predictions: Annotated[list[Path], typer.Option(help="Manifests of all predictions.")],
    requests: Annotated[list[Path], typer.Option(help="Manifests of all prepared tasks.")],
    output: Output,
) -> None:
    """Score all answers, with intervals, and test the study's pairs of models."""
    from valm.evaluate.scores.score import score_models as run

    job = options.open_job()
    run(job, predictions=predictions, requests=requests, output=output)


def score_cell(
    options: JobOptions,
    model: Annotated[str, typer.Option(help="Name of the variant.")],
    task: TaskName,
    seed: Annotated[int, typer.Option(help="The model's own seed.")],
    request: Request,
    trained: Annotated[Path, typer.Option(help="Manifest of the trained model.")],
    output: Output,
    pictures: TaskPictures = None,
    vectors: Vectors = None,
    retracted: Retracted = None,
) -> None:
    """Write one cell of the score table: one model, one seed, one task."""
    from valm.evaluate.answers.predict import Shown
    from valm.evaluate.scores.cell import score_cell as run

    job = options.open_job(model=model, task=task, seed=seed)
    shown = Shown(pictures, vectors, retracted) if pictures and vectors else None
    run(job, model=model, seed=seed, request=request, trained=trained, output=output, shown=shown)


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this phase."""
    add_verb(app, prepare_task)
    add_verb(app, illustrate_task)
    add_verb(app, audit_leakage)
    add_verb(app, evaluate_model)
    add_verb(app, look_at_prompts)
    add_verb(app, score_models)
    add_verb(app, score_cell)
