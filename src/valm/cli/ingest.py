"""Verbs of ingest: raw sources and pictures; text has its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli import ingest_text, ingest_web
from valm.cli.job_options import JobOptions, add_verb

Output = Annotated[Path, typer.Option(help="Manifest to write.")]


def fetch_source(
    options: JobOptions,
    source: Annotated[str, typer.Option(help="Name in config/sources.lock.yaml.")],
    data: Annotated[Path, typer.Option(help="The data folder.")],
    output: Output,
    mirror: Annotated[Path | None, typer.Option(help="Tree <host>/<path> to take it from.")] = None,
    optional: Annotated[bool, typer.Option(help="Record it as unavailable, don't fail.")] = False,
) -> None:
    """Take a raw source from the data folder, a mirror or its client, and verify it."""
    from valm.ingest.raw.fetch import fetch_source as run

    job = options.open_job(source=source)
    run(job, source=source, data=data, mirror=mirror, optional=optional, output=output)


def write_pictures(
    options: JobOptions,
    source: Annotated[str, typer.Option(help="Name of the picture source.")],
    output: Output,
    raw: Annotated[list[Path] | None, typer.Option(help="Manifests of its raw files.")] = None,
) -> None:
    """Write a picture source as LAION-style tar shards."""
    from valm.ingest.pictures.write import write_pictures as run

    job = options.open_job(source=source)
    run(job, source=source, raw=raw or [], output=output)


def list_pictures(
    options: JobOptions,
    pictures: Annotated[list[Path], typer.Option(help="Manifests of the picture sources.")],
    output: Output,
) -> None:
    """Number all pictures and mark near-duplicates."""
    from valm.ingest.pictures.numbering import list_pictures as run

    job = options.open_job()
    run(job, pictures=pictures, output=output)


def list_retracted(
    options: JobOptions,
    pictures: Annotated[Path, typer.Option(help="Manifest of the picture list.")],
    output: Output,
    file: Annotated[
        Path | None, typer.Option(help="retracted.tsv; none: nothing is retracted.")
    ] = None,
) -> None:
    """Find the ids of the pictures that have been taken down."""
    from valm.ingest.pictures.retraction import list_retracted as run

    job = options.open_job()
    run(job, pictures=pictures, file=file, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the commands of the phase."""
    add_verb(app, fetch_source)
    add_verb(app, write_pictures)
    add_verb(app, list_pictures)
    add_verb(app, list_retracted)
    ingest_web.add_to(app)
    ingest_text.add_to(app)
