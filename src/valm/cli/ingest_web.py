"""Verbs of ingest for picture sources of any size: addresses, downloads, a job a shard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb

Source = Annotated[str, typer.Option(help="Name of the picture source.")]
Shard = Annotated[int, typer.Option(min=0, help="Number of the shard.")]
Output = Annotated[Path, typer.Option(help="Manifest to write.")]


def list_urls(
    options: JobOptions,
    source: Source,
    output: Output,
) -> None:
    """Filter and sample metadata of the web's pictures into the addresses of each shard."""
    from valm.ingest.pictures.url_list import list_urls as run

    job = options.open_job(source=source)
    run(job, source=source, output=output)


def download_pictures(
    options: JobOptions,
    source: Source,
    shard: Shard,
    urls: Annotated[Path, typer.Option(help="Manifest of the list of addresses.")],
    output: Output,
) -> None:
    """Download a shard's pictures with img2dataset, and list what survived."""
    from valm.ingest.pictures.download import download_pictures as run

    job = options.open_job(source=source, shard=shard)
    run(job, source=source, shard=shard, urls=urls, output=output)


def write_picture_shard(
    options: JobOptions,
    source: Source,
    shard: Shard,
    output: Output,
    downloaded: Annotated[
        Path | None, typer.Option(help="Manifest of the shard's download, if it has one.")
    ] = None,
) -> None:
    """Decode, shrink and write one shard of a picture source."""
    from valm.ingest.pictures.shards import write_picture_shard as run

    job = options.open_job(source=source, shard=shard)
    run(job, source=source, shard=shard, downloaded=downloaded, output=output)


def gather_pictures(
    options: JobOptions,
    source: Source,
    shards: Annotated[int, typer.Option(min=1, help="Number of shards.")],
    output: Output,
) -> None:
    """Write the list of a source's shards with their hashes."""
    from valm.ingest.pictures.shards import gather_pictures as run

    job = options.open_job(source=source)
    run(job, source=source, shards=shards, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    add_verb(app, list_urls)
    add_verb(app, download_pictures)
    add_verb(app, write_picture_shard)
    add_verb(app, gather_pictures)
