"""Which jobs other studies may have done already: a job's options as what its result depends on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from valm.config.study import DEFAULT_STUDY, results_of
from valm.config.verbs import ALWAYS_DONE, OF_ONE_STUDY, verb_named
from valm.core.digest import digest_data
from valm.core.manifest import read_manifest
from valm.core.shared import SWITCH, Asked

Options = Mapping[str, Sequence[str]]
SUFFIX = ".manifest.json"
TREE = results_of(DEFAULT_STUDY)
# Of a job's options, those that its result does not depend on, or that are taken by themselves.
OF_THE_JOB = ("section", "code", "output", "log", "threads", "config")


def asked_for(
    verb: str, options: Options, digest_of: Callable[[Path], str | None] | None = None
) -> Asked | None:
    """A job as what its result depends on; None if no other study's may be taken in its place.

    Done where they are asked are jobs by hand, which are handed no section or write elsewhere; what
    reads a folder or speaks of its own study; and training by several processes, which must all do
    the same.

    Args:
        options: The values of each option of its command, by name without dashes.
        digest_of: The digest of a manifest; None if nobody knows it before it is made.
    """
    digest_of = digest_of or (lambda path: read_manifest(path).digest)
    study = _study_of(options)
    if study is None or verb in OF_ONE_STUDY or os.environ.get(SWITCH) == "0":
        return None
    section: dict[str, Any] = json.loads(options["section"][0])
    devices = section.get("train", {}).get("devices", {})
    if devices.get("per_node", 1) * devices.get("nodes", 1) > 1:
        return None
    output = Path(options["output"][0])
    own = {name: list(values) for name, values in options.items() if name not in OF_THE_JOB}
    inputs = {value for values in own.values() for value in values if value.endswith(SUFFIX)}
    parents = {_from(output, value): digest_of(Path(value)) for value in sorted(inputs)}
    known = {name: digest for name, digest in parents.items() if digest is not None}
    words = [value for value in _words([section, own]) if not value.endswith(SUFFIX)]
    always_done = verb in ALWAYS_DONE
    reads_folders = not always_done and any(Path(word).is_dir() for word in words)
    if len(known) < len(parents) or reads_folders:
        return None
    relative = {
        name: [_from(output, value) if value in inputs else value for value in values]
        for name, values in own.items()
    }
    files = {word: _state(Path(word)) for word in words if Path(word).is_file()}
    code = options["code"][0]
    depends_on = [verb, section, code, relative, known, files, output.name]
    return Asked(
        tree=TREE,
        study=study,
        verb=verb,
        fingerprint=digest_data(depends_on),
        section=section,
        code=code,
        parents=known,
        manifest=output.relative_to(TREE).as_posix(),
        benchmark=benchmark_of(Path(options["log"][0])).relative_to(TREE).as_posix(),
        histories=verb_named(verb).histories,
        always_done=always_done,
    )


def given_options(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """A verb's options as the words that stand on its command line."""
    lists = {name: v if isinstance(v, list) else [v] for name, v in given.items()}
    return {
        name.replace("_", "-"): [str(value) for value in values]
        for name, values in lists.items()
        if values and values[0] not in (None, False, "")
    }


def benchmark_of(log: Path) -> Path:
    """Where Snakemake writes what it measured of the job that has a log."""
    _, study, *name = log.with_suffix(".tsv").parts
    return results_of(study).joinpath("benchmarks", *name)


def _study_of(options: Options) -> str | None:
    """The study that a job's log names, if all that a rule hands over is there and fits."""
    if not {"section", "code", "output", "log"} <= options.keys():
        return None
    log, output = Path(options["log"][0]), Path(options["output"][0])
    if log.parts[0] != "logs" or len(log.parts) < 3 or not output.name.endswith(SUFFIX):
        return None
    return log.parts[1] if output.is_relative_to(results_of(log.parts[1])) else None


def _from(output: Path, value: str) -> str:
    return Path(os.path.relpath(value, output.parent)).as_posix()


def _words(node: Any) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, (Mapping, list)):
        below: Iterable[Any] = node.values() if isinstance(node, Mapping) else node
        for part in below:
            yield from _words(part)


def _state(file: Path) -> list[int]:
    """What tells a file of the user's from what it was: its size and its time."""
    known = file.stat()
    return [known.st_size, known.st_mtime_ns]
