"""The verb that asks models of others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from valm.cli.evaluate import Output, Request, TaskName
from valm.cli.job_options import JobOptions, add_verb


def evaluate_baseline(
    options: JobOptions,
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
) -> None:
    """Let a model of others (GPT-2, BERT, CLIP ...) answer a prepared task."""
    from valm.evaluate.answers.ask_baseline import evaluate_baseline as run

    if checkpoint is not None:
        entry = {
            "name": baseline, "kind": kind or baseline, "checkpoint": checkpoint,
            "revision": revision, "sha256": sha256,
        }  # fmt: skip
        options = replace(options, section=json.dumps({"evaluate.baselines": [entry]}))
    job = options.open_job(baseline=baseline, task=task)
    run(job, task=task, request=request, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    add_verb(app, evaluate_baseline)
