"""Verbs of the text half of ingest: documents, vocabulary, token streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb

Texts = Annotated[list[Path], typer.Option(help="Manifests of the text sources.")]
Phrases = Annotated[list[Path] | None, typer.Option(help="Manifests of evaluation sets' phrases.")]
Output = Annotated[Path, typer.Option(help="Manifest to write.")]


def write_text(
    options: JobOptions,
    source: Annotated[str, typer.Option(help="Name of the text source.")],
    output: Output,
    raw: Annotated[list[Path] | None, typer.Option(help="Manifests of its raw files.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Manifest of the picture list, if it needs one.")
    ] = None,
) -> None:
    """Write a text source as cleaned documents in CC-100's layout."""
    from valm.ingest.text.write import write_text as run

    job = options.open_job(source=source)
    run(job, source=source, raw=raw or [], pictures=pictures, output=output)


def train_tokenizer(
    options: JobOptions,
    text: Texts,
    output: Output,
) -> None:
    """Train the vocabulary on the training split, or write CLIP's."""
    from valm.ingest.vocabulary.tokenizer import train_tokenizer as run

    job = options.open_job()
    run(job, text=text, output=output)


def write_tokens(
    options: JobOptions,
    text: Texts,
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    output: Output,
    phrases: Phrases = None,
) -> None:
    """Split, draw, shuffle and encode the documents into token streams."""
    from valm.ingest.text.tokens import write_tokens as run

    job = options.open_job()
    run(job, text=text, tokenizer=tokenizer, output=output, phrases=phrases or [])


def list_phrases(
    options: JobOptions,
    task: Annotated[str, typer.Option(help="Name of the task.")],
    output: Output,
    raw: Annotated[list[Path] | None, typer.Option(help="Manifests of its raw files.")] = None,
) -> None:
    """List the phrases of 13 words of an evaluation set."""
    from valm.evaluate.questions.definitions import TASKS
    from valm.evaluate.questions.prepare import raw_files
    from valm.evaluate.questions.task_texts import task_texts
    from valm.ingest.text.phrases import list_phrases as run

    job = options.open_job(task=task)
    files, reason = raw_files(raw or [])
    texts = iter(()) if reason else task_texts(TASKS.get(task), files)
    run(job, task=task, texts=texts, reason=reason, raw=raw or [], output=output)


def measure_overlap(
    options: JobOptions,
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    output: Output,
    phrases: Phrases = None,
) -> None:
    """Count what the training text shares with each evaluation set."""
    from valm.ingest.text.overlap import measure_overlap as run

    job = options.open_job()
    run(job, tokens=tokens, tokenizer=tokenizer, phrases=phrases or [], output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    add_verb(app, write_text)
    add_verb(app, train_tokenizer)
    add_verb(app, write_tokens)
    add_verb(app, list_phrases)
    add_verb(app, measure_overlap)
