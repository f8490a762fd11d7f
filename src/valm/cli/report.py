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
    from valm.report.notebooks import run_notebook as run

    job = options.open_job(chapter=notebook.stem.partition("_")[2])
    run(job, notebook=notebook, results=results, output=output, log=options.log)


def write_report(
    options: JobOptions,
    results: ResultsFolder,
    notebooks: Annotated[
        list[Path], typer.Option(help="Executed notebooks, which the page links to.")
    ],
    output: Annotated[Path, typer.Option(help="Manifest to write, beside report.html.")],
) -> None:
    """Write the one page, with its tables as CSV and its figures as SVG beside it."""
    from valm.report.page import write_report as run

    job = options.open_job()
    run(job, results=results, notebooks=notebooks, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the phase's commands."""
    add_verb(app, run_notebook)
    add_verb(app, write_report)
