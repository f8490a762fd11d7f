"""``valm compare``: two finished studies beside each other, on the terminal and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Study = Annotated[Path, typer.Argument(help="Folder of a finished study's results.")]


def compare(
    first: Study,
    second: Study,
    html: Annotated[Path | None, typer.Option(help="Page to write.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Table of the differences to write.")] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Print also scores whose difference is not shown.")
    ] = False,
) -> None:
    """Say what differs between two studies: their settings, and their scores, tested in pairs."""
    from valm.cli.explain import changes
    from valm.core.atomic import write_text
    from valm.evaluate.scores.compare import compare_scores
    from valm.report.pages.side_by_side import (
        by_name,
        comparison_page,
        configuration_of,
        readable_changes,
    )
    from valm.report.results import Results

    scores = compare_scores(first, second)
    before, after = (by_name(configuration_of(Results(path).made())) for path in (first, second))
    settings = list(changes(before, after))
    console = Console()
    console.print(f"[bold]{len(settings)} settings differ[/bold]")
    for key, words in settings:
        console.print(f"  {escape(key)}: {escape(words)}", soft_wrap=True)
    shown = readable_changes(scores)
    if not every:
        shown = shown.filter(shown["says"].str.ends_with("better"))
    console.print(f"\n[bold]{len(shown)} of {len(scores)} scores that both have[/bold]", end=" ")
    console.print("(all)" if every else "differ beyond chance; --every shows the others")
    grid = Table(box=None, pad_edge=False)
    for column in shown.columns:
        grid.add_column(column, justify="left" if column in ("task", "model", "says") else "right")
    for row in shown.iter_rows():
        grid.add_row(*map(escape, row))
    console.print(grid)
    if html is not None:
        write_text(html, comparison_page(first, second, settings, scores))
    if csv is not None:
        write_text(csv, scores.write_csv())


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("compare")(compare)
