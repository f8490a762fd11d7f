"""Verbs of ingest: raw sources and pictures; text has its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli import ingest_text
from valm.cli.job_options import DEFAULT_CONFIG, Code, ConfigFiles, Log, Section, Threads, open_job

Output = Annotated[Path, typer.Option(help="Manifest to write.")]


def fetch_source(
    source: Annotated[str, typer.Option(help="Name in config/sources.lock.yaml.")],
    data: Annotated[Path, typer.Option(help="The data folder.")],
    output: Output,
    mirror: Annotated[Path | None, typer.Option(help="Tree <host>/<path> to take it from.")] = None,
    optional: Annotated[bool, typer.Option(help="Record it as unavailable, don't fail.")] = False,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Take a raw source from the data folder, a mirror or its client, and verify it."""
    from valm.ingest.fetch import fetch_source as run

    job = open_job(
        "fetch-source", section=section, config=config, code=code, threads=threads, log=log,
        source=source,
    )  # fmt: skip
    run(job, source=source, data=data, mirror=mirror, optional=optional, output=output)


def write_pictures(
    source: Annotated[str, typer.Option(help="Name of the picture source.")],
    output: Output,
    raw: Annotated[list[Path] | None, typer.Option(help="Manifests of its raw files.")] = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Write a picture source as LAION-style tar shards."""
    from valm.ingest.pictures import write_pictures as run

    job = open_job(
        "write-pictures", section=section, config=config, code=code, threads=threads, log=log,
        source=source,
    )  # fmt: skip
    run(job, source=source, raw=raw or [], output=output)


def list_pictures(
    pictures: Annotated[list[Path], typer.Option(help="Manifests of the picture sources.")],
    output: Output,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Number all pictures and mark near-duplicates."""
    from valm.ingest.picture_list import list_pictures as run

    job = open_job(
        "list-pictures", section=section, config=config, code=code, threads=threads, log=log
    )
    run(job, pictures=pictures, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the commands of the phase."""
    app.command("fetch-source")(fetch_source)
    app.command("write-pictures")(write_pictures)
    app.command("list-pictures")(list_pictures)
    ingest_text.add_to(app)
