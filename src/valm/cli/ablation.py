"""An ablation: a study that is run with one thing changed at a time. What its parts are, and its two verbs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from valm.cli.job_options import JobOptions, add_verb
from valm.config.study import Study, merge
from valm.errors import ConfigError

STUDIES = Path("config/studies")
RECIPE = "recipe"  # the part that changes nothing

Output = Annotated[Path, typer.Option(help="Manifest to write.")]


def changes_of(study: Study) -> list[str]:
    """The files of a study's changes: those of the folder that has its name."""
    return [file.as_posix() for file in sorted((STUDIES / study.study).glob("*.yaml"))]


def parts_of(study: Study, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The configuration of each study that an ablation consists of, by its name; none of another study.

    A part has one seed, which is its models' and its encoder's, and one change; all of the recipe come first.

    Raises:
        ConfigError: A change is no mapping, or renames its study.
    """
    files = changes_of(study)
    if not files:
        return {}
    changes: dict[str, dict[str, Any]] = {RECIPE: {}}
    changes |= {Path(file).stem: _read(Path(file)) for file in files}
    parts = {}
    for change, changed in changes.items():
        for seed in study.train.seeds:
            # The study's own seed needs no saying, so that this encoder is the default study's.
            encoder = {} if seed == study.seed else {"params": {"seed": seed}}
            own = {"train": {"seeds": [seed]}, "embed": {"encoder": encoder}}
            name = f"{study.study}_{change}_{seed}"
            parts[name] = merge(merge(merge(config, changed), own), {"study": name})
    return parts


def _read(file: Path) -> dict[str, Any]:
    changed = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(changed, dict) or "study" in changed:
        raise ConfigError("a change is a mapping of keys other than 'study'", where=file)
    return changed


def score_changes(
    options: JobOptions,
    parts: Annotated[
        list[Path], typer.Option(help="Manifests of the scores of all parts, the recipe's first.")
    ],
    output: Output,
) -> None:
    """Score a recipe and its changes, each pooled over its seeds, and test what each change does."""
    from valm.evaluate.scores.changes import Part
    from valm.evaluate.scores.changes import score_changes as run

    prefix = f"{output.parents[1].name}_"
    named = [(path, path.parents[1].name.removeprefix(prefix).rpartition("_")) for path in parts]
    of_study = [Part(change, int(seed), path) for path, (change, _, seed) in named]
    run(options.open_job(), parts=of_study, output=output)


def write_changes(
    options: JobOptions,
    scores: Annotated[Path, typer.Option(help="Manifest of the changes' scores.")],
    settings: Annotated[list[Path], typer.Option(help="The file of each change.")],
    output: Output,
) -> None:
    """Write the table and the figure of a recipe and its changes."""
    from valm.report.pages.changes import write_changes as run

    run(options.open_job(), scores=scores, settings=settings, output=output)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    add_verb(app, score_changes)
    add_verb(app, write_changes)
