"""Verbs of the phase ``report``: execute a notebook, write the page that ties them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, Code, ConfigFiles, Log, Section, Threads, open_job

ResultsFolder = Annotated[Path, typer.Option(help="The study's folder of results.")]


def run_notebook(
    notebook: Annotated[Path, typer.Option(help="Notebook without outputs.")],
    results: ResultsFolder,
    output: Annotated[
        Path, typer.Option(help="Executed notebook to write; its HTML lies beside it.")
    ],
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Execute a notebook on a study's results; a failed one stays beside the log."""
    from valm.report.notebooks import run_notebook as run

    job = open_job(
        "run-notebook", section=section, config=config, code=code, threads=threads, log=log,
        chapter=notebook.stem.partition("_")[2],
    )  # fmt: skip
    run(job, notebook=notebook, results=results, output=output, log=log)


def write_report(
    results: ResultsFolder,
    notebooks: Annotated[
        list[Path], typer.Option(help="Executed notebooks, which the page links to.")
    ],
    output: Annotated[Path, typer.Option(help="Manifest to write, beside report.html.")],
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Write the one page, with its tables as CSV and its figures as SVG beside it."""
    from valm.report.page import write_report as run

    job = open_job(
        "write-report", section=section, config=config, code=code, threads=threads, log=log
    )
    run(job, results=results, notebooks=notebooks, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the phase's commands."""
    app.command("run-notebook")(run_notebook)
    app.command("write-report")(write_report)
