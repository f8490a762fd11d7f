"""``valm explain``: why jobs would run again, in words: which key, which module, which input."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from valm.cli.dry_run import PlannedJob, planned_jobs, to_be_taken
from valm.core.digest import canonical_json
from valm.core.fingerprint import changed_modules
from valm.core.manifest import Manifest, read_manifest

LONGEST_VALUE = 60
MOST_INPUTS = 6


def explain(target: str, arguments: Sequence[str]) -> str:
    """Say for each job that a target waits for, and for its own, why it would run.

    Args:
        target: A file, a phase, or ``all``.
        arguments: Further arguments of Snakemake (``--configfile``, ``--config``).
    """
    jobs = planned_jobs([target, *arguments])
    if not jobs:
        return f"{target}: nothing to do. Keys, modules and inputs are those that it was made with."
    made_again = {job.output for job in jobs}
    taken = to_be_taken(jobs)
    count = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
    lines = [f"{target}: {count} would run, each after those above it.", ""]
    for job in jobs:
        lines.append(f"{job.message} [{job.output}]")
        lines += [f"  {reason}" for reason in _reasons(job, made_again)]
        if job.output in taken:
            lines.append(f"  it will be taken: the study {taken[job.output].made_by} has made it")
    return "\n".join(lines)


def _reasons(job: PlannedJob, made_again: set[Path]) -> list[str]:
    """All reasons of one job; Snakemake's own words where the manifests hold none."""
    reasons = []
    if not job.output.is_file():
        reasons.append("it has not been made yet")
    else:
        made = read_manifest(job.output)
        reasons += [f"{key}: {words}" for key, words in changes(made.recipe.section, job.section)]
        reasons += _code(made, job)
        reasons += _inputs(made, job, made_again)
        reasons += [f"{name} is missing" for name in _missing(made, job.output)]
    # Snakemake's words name the inputs of the report's jobs too.
    taken = [path for path in sorted(made_again) if path in job.inputs or str(path) in job.reason]
    reasons += [f"it takes {path}, which is made again" for path in taken[:MOST_INPUTS]]
    if len(taken) > MOST_INPUTS:
        reasons.append(f"it takes {len(taken) - MOST_INPUTS} more that are made again")
    return reasons or [f"Snakemake says: {job.reason}"]


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The keys below a node whose values differ, each with "old -> new"."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else str(key)
            if key not in old:
                yield below, f"is new: {_short(new[key])}"
            elif key not in new:
                yield below, f"is no longer read; it was {_short(old[key])}"
            else:
                yield from changes(old[key], new[key], below)
    elif _named(old) and _named(new) and _named(old).keys() == _named(new).keys():
        for name, entry in _named(old).items():
            yield from changes(entry, _named(new)[name], f"{path}[{name}]")
    elif old != new:
        yield path, f"{_short(old)} -> {_short(new)}"


def _named(node: Any) -> dict[str, Any]:
    """The entries of a list by their names; empty for anything else."""
    if not isinstance(node, list) or not all(isinstance(e, dict) and "name" in e for e in node):
        return {}
    return {entry["name"]: entry for entry in node}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _code(made: Manifest, job: PlannedJob) -> Iterator[str]:
    if made.code_digest == job.code:
        return
    modules = changed_modules(made.recipe.modules)
    for module, state in modules.items():
        yield f"the module {module} {state}"
    if not modules:
        yield "it is made by other modules than before"


def _inputs(made: Manifest, job: PlannedJob, made_again: set[Path]) -> Iterator[str]:
    """Inputs that are new, gone, or other than those that the result was made from."""
    if not job.inputs:  # the report's jobs: their commands name a folder
        return
    folder = job.output.parent
    before = {
        Path(os.path.normpath(folder / name)): digest for name, digest in made.parents.items()
    }
    for path in job.inputs:
        if path not in before:
            yield f"{path} is a new input"
        elif path not in made_again and read_manifest(path).digest != before[path]:
            yield f"{path} is another than it was made from"
    for path in before.keys() - set(job.inputs):
        yield f"{path} is no longer an input"


def _missing(made: Manifest, manifest: Path) -> list[str]:
    """Files that a manifest names and that are not there."""
    return [name for name in made.files if not (manifest.parent / name).is_file()]
