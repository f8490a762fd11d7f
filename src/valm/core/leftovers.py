"""What killed jobs have left behind: work directories and half-written files, and which are of use.

A work directory is named after everything that its job depends on. It is of use as long as the same
job may be asked for again; how far it is still possible, ``job.json`` in it tells.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valm.core.fingerprint import changed_modules
from valm.core.work import JOB_NOTE, work_root

PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")


@dataclass(frozen=True)
class WorkDirectory:
    """One work directory.

    Attributes:
        path: ``work/<verb>/<fingerprint>``.
        job: What its job was handed, as ``Job.work`` noted it; empty if it noted nothing.
    """

    path: Path
    job: dict[str, Any]

    @property
    def verb(self) -> str:
        """The verb that works there."""
        return self.path.parent.name

    @property
    def fingerprint(self) -> str:
        """Digest of everything that its result depends on."""
        return self.path.name

    def why_stale(self, finished: Collection[str], manifests: Collection[str]) -> str | None:
        """Why nothing can go on from here; None if something can.

        Args:
            finished: Fingerprints of the results that exist.
            manifests: Digests of all manifests that exist.
        """
        if self.fingerprint in finished:
            return "its result is finished"
        if not self.job:
            return "nothing says what it is for"
        changed = changed_modules(self.job["modules"])
        if changed:
            module, state = next(iter(changed.items()))
            return f"{module} {state}"
        for parent, digest in self.job["parents"].items():
            if digest not in manifests:
                return f"its input {parent} is another now"
        return None


def work_directories() -> Iterator[WorkDirectory]:
    """All work directories of the current folder."""
    for path in sorted(work_root().glob("*/*/")):
        note = path / JOB_NOTE
        yield WorkDirectory(path, json.loads(note.read_text("utf-8")) if note.is_file() else {})


def half_written(folder: Path) -> Iterator[Path]:
    """Temporary files and folders below a folder whose writers are gone."""
    for path in sorted(folder.rglob(".*.part")):
        found = PART.fullmatch(path.name)
        if found and not _is_alive(int(found["process"])):
            yield path


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
