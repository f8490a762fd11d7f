"""Verbs that carry models out of the study and into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, ConfigFiles, Log
from valm.cli.registries import checked_study
from valm.core.logs import configure_logs


def export_model(
    model: Annotated[Path, typer.Option(help="Manifest of a trained or converted model.")],
    output: Annotated[Path, typer.Option(help="Folder to write; an older export is replaced.")],
    results: Annotated[
        Path, typer.Option(help="The study's folder of results: tokenizer, provenance, scores.")
    ] = Path("results"),
    retriever: Annotated[
        bool, typer.Option("--retriever", help="Carry text tower, index, vectors and captions.")
    ] = False,
    config: ConfigFiles = DEFAULT_CONFIG,
    log: Log = None,
) -> None:
    """Write a model as a folder that Hugging Face's transformers loads without this package."""
    configure_logs(log)
    from valm.export.hugging_face import export_model as run

    study = checked_study(config) if retriever else None
    run(model=model, results=results, output=output, study=study)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("export")(export_model)
