"""Verbs of embed: features, the encoder, the vectors of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, Log, add_verb, numbered_part
from valm.core.digest import digest_data
from valm.core.fingerprint import module_digests
from valm.core.job import Job
from valm.core.logs import configure_logs
from valm.core.manifest import read_manifest

Output = Annotated[Path, typer.Option(help="Manifest to write.")]
Pictures = Annotated[Path, typer.Option(help="Manifest of the picture list.")]
Raw = Annotated[list[Path] | None, typer.Option(help="Manifests of raw files.")]
FeaturesOption = Annotated[
    Path | None, typer.Option(help="Manifest of the features, for encoders that read them.")
]


def extract_features(
    options: JobOptions,
    pictures: Pictures,
    output: Output,
    raw: Raw = None,
) -> None:
    """Describe every picture by a packaged ImageNet network and its pixels' colours."""
    from valm.embed.features.extract import extract_features as run

    job = options.open_job()
    run(job, pictures=pictures, raw=raw or [], output=output)


def make_encoder(
    options: JobOptions,
    pictures: Pictures,
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    output: Output,
    features: FeaturesOption = None,
) -> None:
    """Train the study's encoder, or take over a given model and checkpoint."""
    from valm.embed.make import make_encoder as run

    job = options.open_job()
    run(
        job, pictures=pictures, tokens=tokens, tokenizer=tokenizer, features=features, output=output
    )


def embed_pictures(
    options: JobOptions,
    pictures: Pictures,
    encoder: Annotated[Path, typer.Option(help="Manifest of the encoder.")],
    output: Output,
    features: FeaturesOption = None,
) -> None:
    """Write the key and the value of every picture."""
    from valm.embed.pictures import embed_pictures as run

    job = options.open_job(encoder=encoder)
    run(job, pictures=pictures, encoder=encoder, features=features, output=output)


def embed_shards(
    shards: Annotated[Path, typer.Option(help="Folder of tar shards in img2dataset's layout.")],
    encoder: Annotated[Path, typer.Option(help="Manifest of an encoder that reads pixels.")],
    output: Annotated[Path, typer.Option(help="Manifest of all vectors; shards/ lies beside it.")],
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode pictures.")] = 2,
    part: Annotated[
        str, typer.Option(help="i/n: work on the i-th of every n shards, beside n - 1 others.")
    ] = "1/1",
    maximum_megapixels: Annotated[
        float, typer.Option(min=0, help="Larger pictures are rejected from their header.")
    ] = 40.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the encoder.")] = 1,
    log: Log = None,
) -> None:
    """Embed picture shards as a download leaves them, resumably, by one process or many."""
    taken = numbered_part(part)
    configure_logs(log)
    from valm.embed.shards import embed_shards as run

    kind = read_manifest(encoder, "encoder").facts["encoder"]
    modules = module_digests(["valm.embed.shards", f"valm.embed.encoders.{kind}"])
    section = {"maximum_megapixels": maximum_megapixels}
    job = Job("embed-shards", section, digest_data(modules), {}, threads, modules)
    run(job, shards=shards, encoder=encoder, output=output, workers=workers, part=taken)


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this phase."""
    add_verb(app, extract_features)
    add_verb(app, make_encoder)
    add_verb(app, embed_pictures)
    app.command("embed-shards")(embed_shards)
