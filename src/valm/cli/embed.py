"""Verbs of embed: features, the encoder, the vectors of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb

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
    from valm.embed.features import extract_features as run

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


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this phase."""
    add_verb(app, extract_features)
    add_verb(app, make_encoder)
    add_verb(app, embed_pictures)
