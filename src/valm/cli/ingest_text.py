"""Verbs of the text half of ingest: documents, vocabulary, token streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb

Texts = Annotated[list[Path], typer.Option(help="Manifests of the text sources.")]
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
    from valm.ingest.text import write_text as run

    job = options.open_job(source=source)
    run(job, source=source, raw=raw or [], pictures=pictures, output=output)


def train_tokenizer(
    options: JobOptions,
    text: Texts,
    output: Output,
) -> None:
    """Train the vocabulary on the training split, or write CLIP's."""
    from valm.ingest.tokenizer import train_tokenizer as run

    job = options.open_job()
    run(job, text=text, output=output)


def write_tokens(
    options: JobOptions,
    text: Texts,
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    output: Output,
) -> None:
    """Split, draw, shuffle and encode the documents into token streams."""
    from valm.ingest.tokens import write_tokens as run

    job = options.open_job()
    run(job, text=text, tokenizer=tokenizer, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    add_verb(app, write_text)
    add_verb(app, train_tokenizer)
    add_verb(app, write_tokens)
