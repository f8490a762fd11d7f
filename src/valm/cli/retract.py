"""``valm retract``: take pictures down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.errors import InputError


def retract(
    ids: Annotated[
        Path,
        typer.Option(help="File with a picture a line: its id, or its source, a tab, its origin."),
    ],
    pictures: Annotated[Path, typer.Option(help="Manifest of the study's picture list.")] = Path(
        "results/ingest/pictures/list.manifest.json"
    ),
    file: Annotated[Path, typer.Option(help="The list of all retracted pictures.")] = Path(
        "config/retracted.tsv"
    ),
) -> None:
    """Take pictures out of indices, neighbours and reports, from the next run on."""
    from valm.ingest.pictures.retraction import read_lines
    from valm.ingest.pictures.retraction import retract as run

    if not ids.is_file():
        raise InputError("there is no such file", where=ids, cure="write one picture a line")
    asked, new = run(file, pictures, read_lines(ids))
    print(f"{asked} pictures are retracted; {new} names are new in {file}")
    print("run the study again; `valm plan` says what that makes anew")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("retract")(retract)
