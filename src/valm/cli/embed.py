"""Verbs of embed: features, the encoder, the vectors of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, Code, ConfigFiles, Log, Section, Threads, open_job

Output = Annotated[Path, typer.Option(help="Manifest to write.")]
Pictures = Annotated[Path, typer.Option(help="Manifest of the picture list.")]
Raw = Annotated[list[Path] | None, typer.Option(help="Manifests of raw files.")]
FeaturesOption = Annotated[
    Path | None, typer.Option(help="Manifest of the features, for encoders that read them.")
]


def extract_features(
    pictures: Pictures,
    output: Output,
    raw: Raw = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Describe every picture by a packaged ImageNet network and its pixels' colours."""
    from valm.embed.features import extract_features as run

    job = open_job(
        "extract-features", section=section, config=config, code=code, threads=threads, log=log
    )
    run(job, pictures=pictures, raw=raw or [], output=output)


def make_encoder(
    pictures: Pictures,
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    output: Output,
    features: FeaturesOption = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Train the study's encoder, or take over a given model and checkpoint."""
    from valm.embed.make import make_encoder as run

    job = open_job(
        "make-encoder", section=section, config=config, code=code, threads=threads, log=log
    )
    run(
        job, pictures=pictures, tokens=tokens, tokenizer=tokenizer, features=features, output=output
    )


def embed_pictures(
    pictures: Pictures,
    encoder: Annotated[Path, typer.Option(help="Manifest of the encoder.")],
    output: Output,
    features: FeaturesOption = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Write the key and the value of every picture."""
    from valm.embed.pictures import embed_pictures as run

    job = open_job(
        "embed-pictures", section=section, config=config, code=code, threads=threads, log=log,
        encoder=encoder,
    )  # fmt: skip
    run(job, pictures=pictures, encoder=encoder, features=features, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this phase."""
    app.command("extract-features")(extract_features)
    app.command("make-encoder")(make_encoder)
    app.command("embed-pictures")(embed_pictures)
