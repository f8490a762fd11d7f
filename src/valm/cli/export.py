"""Verbs that carry models out of the study and into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import Log
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
    retracted: Annotated[
        Path, typer.Option(help="The list of retracted pictures, which no retriever carries.")
    ] = Path("config/retracted.tsv"),
    log: Log = None,
) -> None:
    """Write a model as a folder that Hugging Face's transformers loads without this package."""
    configure_logs(log)
    from valm.export.hugging_face import export_model as run

    run(model=model, results=results, output=output, retriever=retriever, retracted=retracted)


def convert(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint_*.pt of fairseq.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    heads: Annotated[
        int | None, typer.Option(help="Attention heads, if the checkpoint does not state them.")
    ] = None,
    context_tokens: Annotated[
        int | None, typer.Option(help="Longest input, if the checkpoint does not state it.")
    ] = None,
    log: Log = None,
) -> None:
    """Turn a checkpoint of the official code into a model of ours, and say what is dropped."""
    configure_logs(log)
    from valm.export.convert import convert as run

    run(checkpoint=checkpoint, output=output, heads=heads, context=context_tokens)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("export")(export_model)
    app.command("convert")(convert)
