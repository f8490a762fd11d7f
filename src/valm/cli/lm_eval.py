"""The command that runs lm-evaluation-harness on a model of the study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import Log
from valm.core.logs import configure_logs


def lm_eval(
    model: Annotated[Path, typer.Option(help="Manifest of a trained or converted model.")],
    tasks: Annotated[str, typer.Option(help="Names of tasks, or patterns, with commas between.")],
    output: Annotated[Path, typer.Option(help="JSON file of the scores.")],
    results: Annotated[
        Path, typer.Option(help="The study's folder of results: tokenizer and retriever.")
    ] = Path("results"),
    pictures: Annotated[
        str | None, typer.Option(help="Picture control; as the model was trained if none is named.")
    ] = None,
    include_path: Annotated[
        list[Path] | None, typer.Option(help="Folder of more task files, which may run code.")
    ] = None,
    shots: Annotated[int | None, typer.Option(help="Examples before each question.")] = None,
    limit: Annotated[int | None, typer.Option(help="First so many documents of each task.")] = None,
    log: Log = None,
) -> None:
    """Run tasks of lm-evaluation-harness, with the pictures of every token for VaLM."""
    configure_logs(log)
    from valm.harness.run import run_tasks

    scores = run_tasks(
        model=model, tasks=tasks.split(","), results=results, output=output, pictures=pictures, include=include_path or [], shots=shots, limit=limit,
    )  # fmt: skip
    for task, metrics in scores.items():
        for name, value in metrics.items():
            if isinstance(value, float):
                print(f"{task}\t{name}\t{value:.4f}")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("lm-eval")(lm_eval)
