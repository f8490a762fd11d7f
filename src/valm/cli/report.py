"""Verbs of the phase ``report``: execute a notebook, write the page that ties them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb

ResultsFolder = Annotated[Path, typer.Option(help="The study's folder of results.")]


def run_notebook(
    options: JobOptions,
    notebook: Annotated[Path, typer.Option(help="Notebook without outputs.")],
    results: ResultsFolder,
    output: Annotated[
        Path, typer.Option(help="Executed notebook to write; its HTML lies beside it.")
    ],
) -> None:
    """Execute a notebook on a study's results; a failed one stays beside the log."""
    from valm.report.pages.notebooks import run_notebook as run

    job = options.open_job(chapter=notebook.stem.partition("_")[2])
    run(job, notebook=notebook, results=results, output=output, log=options.log)


def write_viewer(
    options: JobOptions,
    models: Annotated[list[Path], typer.Option(help="Manifests of the models that are asked.")],
    encoder: Annotated[Path, typer.Option(help="Manifest of the encoder.")],
    parents: Annotated[
        list[Path], typer.Option(help="Manifests of all else that the study is opened from.")
    ],
    preset: Annotated[str, typer.Option(help="Name of the preset whose pictures are shown.")],
    output: Annotated[Path, typer.Option(help="Manifest to write, beside viewer.html.")],
) -> None:
    """Write the viewer's page with recorded answers to the study's prompts, as one file."""
    from valm.serve.recorded_page import write_viewer as run

    job = options.open_job(encoder=encoder, preset=preset)
    run(job, models=models, parents=[encoder, *parents], output=output)


def write_report(
    options: JobOptions,
    results: ResultsFolder,
    notebooks: Annotated[
        list[Path], typer.Option(help="Executed notebooks, which the page links to.")
    ],
    output: Annotated[Path, typer.Option(help="Manifest to write, beside index.html.")],
) -> None:
    """Write the one page, with its tables as CSV and its figures as SVG beside it."""
    from valm.report.pages.report import write_report as run

    job = options.open_job()
    run(job, results=results, notebooks=notebooks, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the phase's commands."""
    add_verb(app, run_notebook)
    add_verb(app, write_viewer)
    add_verb(app, write_report)
