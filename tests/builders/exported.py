"""A trained model as Hugging Face's folder, by the real command line."""

from __future__ import annotations

from pathlib import Path

from builders.trained import Trained
from click.testing import Result
from typer.testing import CliRunner

from valm.cli.main import app


def run_export(trained: Trained, folder: Path, *options: str) -> Result:
    """Export a model with its retriever; how the command ended."""
    command = ["export", "--model", str(trained.model), "--results", str(trained.results),
               "--output", str(folder), "--retriever", *options]  # fmt: skip
    return CliRunner().invoke(app, command)
