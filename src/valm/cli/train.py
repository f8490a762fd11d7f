"""The verb of the phase ``train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb


def train_model(
    options: JobOptions,
    model: Annotated[str, typer.Option(help="Name of the variant (models.variants).")],
    seed: Annotated[int, typer.Option(help="The model's own seed.")],
    tokens: Annotated[Path, typer.Option(help="Manifest of the token streams.")],
    output: Annotated[Path, typer.Option(help="Manifest to write.")],
    neighbours_train: Annotated[
        Path | None, typer.Option(help="Manifest of the training tokens' neighbours.")
    ] = None,
    neighbours_valid: Annotated[
        Path | None, typer.Option(help="Manifest of the validation tokens' neighbours.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Manifest of the encoder, if the preset is online.")
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="Manifest of the index that is searched then.")
    ] = None,
    vectors: Annotated[Path | None, typer.Option(help="Manifest of the picture vectors.")] = None,
    retracted: Annotated[
        Path | None, typer.Option(help="Manifest of the pictures that no control may draw.")
    ] = None,
    resume_from: Annotated[
        Path | None,
        typer.Option(help="Another work folder to go on from; refused if a key has changed."),
    ] = None,
) -> None:
    """Train one model with one seed; go on where a killed run of the same was.

    TensorBoard's files and metrics.csv lie in a folder beside the log, without one in the work folder.
    """
    from valm.train.fit import train_model as run
    from valm.train.inputs import TRAIN, VALID, PictureFiles

    job = options.open_job(encoder=encoder, model=model, seed=seed)
    pictures = None
    if vectors and neighbours_train and neighbours_valid:
        tables = {TRAIN: neighbours_train, VALID: neighbours_valid}
        pictures = PictureFiles(vectors, tables, retracted=retracted)
    elif vectors and encoder and index:
        from valm.retrieve.online import OnlineRetrieval

        found_online = OnlineRetrieval.of(job, tokens, encoder, vectors, index)
        pictures = PictureFiles(vectors, {}, found_online, retracted)
    run(
        job,
        model=model,
        seed=seed,
        tokens=tokens,
        pictures=pictures,
        output=output,
        curves=options.log.with_suffix("") if options.log else None,
        resume_from=resume_from,
    )


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    add_verb(app, train_model)
