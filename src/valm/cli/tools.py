"""Verbs about the study as a whole: is the machine fit, what is there, is it intact."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, ConfigFiles
from valm.config.document import documents
from valm.core.atomic import write_text
from valm.core.logs import configure_logs
from valm.core.manifest import check_parents, verify_files
from valm.core.progress import track
from valm.errors import ConfigError, IntegrityError

# Everything after the command goes to Snakemake as it stands: --configfile, --config, a target.
AS_SNAKEMAKE = {"allow_extra_args": True, "ignore_unknown_options": True}
SnakemakeArguments = Annotated[
    list[str] | None,
    typer.Argument(help="Arguments of snakemake, such as a target or --configfile FILE."),
]


def doctor(config: ConfigFiles = DEFAULT_CONFIG) -> None:
    """Check versions, cores, memory, disk, GPU, faiss, locks and sources; exit 7 if unfit."""
    from valm.cli.doctor import examine, print_findings

    if not print_findings(examine(config)):
        sys.exit(7)


def describe(
    results: Annotated[Path, typer.Option(help="The study's folder of results.")] = Path("results"),
    study: Annotated[
        str | None,
        typer.Option(help="Name of a study: say what it will hold and cost, made or not."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A study's figures as JSON.")] = False,
    config: ConfigFiles = DEFAULT_CONFIG,
) -> None:
    """Say what has been made, phase by phase; or what a study will be: sizes, tokens, GPU hours."""
    if study is None:
        if as_json:
            raise ConfigError("--json goes with --study", cure="name a study")
        from valm.report.describe import describe as text

        print(text(results))
        return
    from valm.cli.describe_study import as_text, named_study

    chosen = named_study(study, config)  # a wrong one is named before torch is loaded
    from valm.cli.study_forecast import forecast

    figures = forecast(chosen)
    print(json.dumps(figures, indent=1) if as_json else as_text(figures))


def verify(
    results: Annotated[Path, typer.Option(help="The folder whose manifests are checked.")] = Path(
        "results"
    ),
) -> None:
    """Hash every file, compare every input with what it was; print all differences, then exit 4."""
    configure_logs(None)
    manifests = sorted(results.rglob("*.manifest.json"))
    differences = []
    for manifest in track(manifests, "verifying", len(manifests), "manifests"):
        for check in (verify_files, check_parents):
            try:
                check(manifest)
            except IntegrityError as error:
                differences.append(error)
                print(f"error: {error}", file=sys.stderr)
    if differences:
        raise IntegrityError(f"{len(differences)} differences in {len(manifests)} artifacts")
    print(f"{len(manifests)} manifests and every file they name: intact, and made from each other")


def gc(
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; else only say what would go.")
    ] = False,
    config: ConfigFiles = DEFAULT_CONFIG,
) -> None:
    """Say which work directories and half-written files nothing can go on from; --yes clears them."""
    from valm.cli.garbage import collect, print_and_remove

    print_and_remove(collect(config), yes)


def explain(
    target: Annotated[str, typer.Argument(help="A file, a phase, or all.")] = "all",
    arguments: SnakemakeArguments = None,
) -> None:
    """Say why a target and what it waits for would run: which key, module or input changed."""
    from valm.cli.explain import explain as text

    print(text(target, arguments or []))


def plan(arguments: SnakemakeArguments = None) -> None:
    """List what would run, with the time that it took in past runs."""
    from valm.cli.plan import print_plan

    print_plan(arguments or [])


def adopt(arguments: SnakemakeArguments = None) -> None:
    """Verify results that came from elsewhere (dvc pull) and let Snakemake take them for its own."""
    from valm.cli.adopt import adopt as run

    configure_logs(None)
    print(run(arguments or []))


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
    app.command("gc")(gc)
    app.command("explain", context_settings=AS_SNAKEMAKE)(explain)
    app.command("plan", context_settings=AS_SNAKEMAKE)(plan)
    app.command("adopt", context_settings=AS_SNAKEMAKE)(adopt)
    app.command("write-config")(write_config)
