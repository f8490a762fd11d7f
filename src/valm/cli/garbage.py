"""``valm gc``: what killed and finished jobs have left that nothing can go on from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valm.cli.ablation import parts_of
from valm.cli.needs import DATA, OPTIONAL_DATA
from valm.cli.sharing import TREE
from valm.config.study import Study, load_study, parse_study
from valm.config.verbs import VERBS, section_for
from valm.core.leftovers import WorkDirectory, half_written, size_of, work_directories
from valm.core.manifest import read_manifest
from valm.core.shared import leads_nowhere
from valm.core.work import work_directory
from valm.errors import BusyError, ConfigError

STUDY_FILES = "config/studies/*.yaml"
WRITTEN_TO = (TREE.as_posix(), DATA, OPTIONAL_DATA)


@dataclass(frozen=True)
class Garbage:
    """Something that can go.

    Attributes:
        path: File or folder.
        why: Why nothing needs it.
        work: It is a job's work directory, which is taken hold of before it goes.
    """

    path: Path
    why: str
    work: WorkDirectory | None = None

    def remove(self) -> bool:
        """Remove it; False if a job has taken it up in the meantime."""
        if self.work is None:
            _delete(self.path)
            return True
        try:
            with work_directory(self.work.verb, self.work.fingerprint):
                _delete(self.path)
        except BusyError:
            return False
        return True


def collect(config: list[Path]) -> list[Garbage]:
    """Everything that no study of this checkout can use any more; nothing is changed.

    Args:
        config: The configuration files; each file of ``config/studies`` is a further study.
    """
    roots = [Path(name) for name in WRITTEN_TO]
    manifests = [read_manifest(path) for root in roots for path in root.rglob("*.manifest.json")]
    finished = {manifest.fingerprint for manifest in manifests}
    digests = {manifest.digest for manifest in manifests}
    studies = [load_study(config)]
    studies += [load_study([*config, file]) for file in sorted(Path().glob(STUDY_FILES))]
    studies += [
        parse_study(part)
        for study in studies
        for part in parts_of(study, study.model_dump(mode="json")).values()
    ]
    found = []
    for work in work_directories():
        why = work.why_stale(finished, digests) or _no_study_asks(work, studies)
        if why:
            found.append(Garbage(work.path, why, work))
    for root in roots:
        found += [Garbage(path, "its writer is gone") for path in half_written(root)]
    found += [Garbage(path, why) for path, why in leads_nowhere(TREE)]
    return found


def print_and_remove(found: list[Garbage], yes: bool) -> None:
    """Say what is stale and how much it holds; remove it if told to."""
    if not found:
        print("nothing is stale")
        return
    freed = 0
    for garbage in found:
        size = size_of(garbage.path)
        print(f"{_megabytes(size)}  {garbage.path}: {garbage.why}")
        if not yes or garbage.remove():
            freed += size
        else:
            print("          kept: a job works there now")
    if yes:
        print(f"freed {_megabytes(freed).strip()}")
    else:
        print(f"this would free {_megabytes(freed).strip()} -> valm gc --yes")


def _no_study_asks(work: WorkDirectory, studies: list[Study]) -> str | None:
    asked = (_section(study, work.verb, work.job["choices"]) for study in studies)
    return None if work.job["section"] in asked else "no study asks for it with these settings"


def _section(study: Study, verb: str, choices: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a study would hand to the verb; None if it has no such model, or there is no such verb."""
    if verb not in VERBS:
        return None
    try:
        return section_for(study, verb, **choices)
    except ConfigError:
        return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:7.1f} MB"


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
