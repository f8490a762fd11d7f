"""The verb that asks models of others."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from valm.cli.evaluate import Output, Request, TaskName
from valm.cli.job_options import DEFAULT_CONFIG, Code, ConfigFiles, Log, Section, Threads, open_job

VERB = "evaluate-baseline"


def evaluate_baseline(
    baseline: Annotated[
        str, typer.Option(help="Name in evaluate.baselines; with --checkpoint: any name or a kind.")
    ],
    task: TaskName,
    request: Request,
    output: Output,
    checkpoint: Annotated[
        str | None, typer.Option(help="Folder or id of the hub, in place of the configured one.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="With --checkpoint: its kind, if --baseline is none.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="With --checkpoint: its revision.")] = None,
    sha256: Annotated[str | None, typer.Option(help="With --checkpoint: of its weights.")] = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Let a model of others (GPT-2, BERT, CLIP ...) answer a prepared task."""
    from valm.evaluate.ask_baseline import evaluate_baseline as run

    if checkpoint is not None:
        entry = {
            "name": baseline, "kind": kind or baseline, "checkpoint": checkpoint,
            "revision": revision, "sha256": sha256,
        }  # fmt: skip
        section = json.dumps({"evaluate.baselines": [entry]})
    job = open_job(
        VERB, section=section, config=config, code=code, threads=threads, log=log,
        baseline=baseline, task=task,
    )  # fmt: skip
    run(job, task=task, request=request, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command(VERB)(evaluate_baseline)
