"""Verbs about the study as a whole: is the machine fit, what is there, is it intact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, ConfigFiles
from valm.config.document import documents
from valm.core.atomic import write_text
from valm.core.logs import configure_logs
from valm.core.manifest import verify_files
from valm.core.progress import track
from valm.errors import IntegrityError


def doctor(config: ConfigFiles = DEFAULT_CONFIG) -> None:
    """Check versions, cores, memory, disk, GPU, faiss, locks and sources; exit 7 if unfit."""
    from valm.cli.doctor import examine, print_findings

    if not print_findings(examine(config)):
        sys.exit(7)


def describe(
    results: Annotated[Path, typer.Option(help="The study's folder of results.")] = Path("results"),
) -> None:
    """Say what has been made, phase by phase."""
    from valm.report.describe import describe as text

    print(text(results))


def verify(
    results: Annotated[Path, typer.Option(help="The folder whose manifests are checked.")] = Path(
        "results"
    ),
) -> None:
    """Hash every file that a manifest names; all differences are printed, then exit 4."""
    configure_logs(None)
    manifests = sorted(results.rglob("*.manifest.json"))
    differences = []
    for manifest in track(manifests, "verifying", len(manifests), "manifests"):
        try:
            verify_files(manifest)
        except IntegrityError as error:
            differences.append(error)
            print(f"error: {error}", file=sys.stderr)
    if differences:
        raise IntegrityError(f"{len(differences)} of {len(manifests)} artifacts are damaged")
    print(f"{len(manifests)} manifests and every file they name: intact")


def write_config(
    check: Annotated[bool, typer.Option(help="Only say whether a document has drifted.")] = False,
) -> None:
    """Write config.yaml, config/schema.json and config/README.md from the settings models."""
    for path, text in documents().items():
        current = path.read_text(encoding="utf-8") if path.is_file() else ""
        if current != text:
            if check:
                sys.exit(f"error: {path} differs from the settings models -> valm write-config")
            write_text(path, text)
            print(f"wrote {path}")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("doctor")(doctor)
    app.command("describe")(describe)
    app.command("verify")(verify)
    app.command("write-config")(write_config)
