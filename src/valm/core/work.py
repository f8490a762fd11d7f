"""Work directories: where a killed job leaves what it can continue from.

``work/<verb>/<fingerprint>/`` is unknown to Snakemake, which deletes declared outputs when a job
starts again. The fingerprint covers config section, code and parents, so stale state is never met.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valm.core.atomic import require_writable
from valm.errors import BusyError

WORK_ROOT = "VALM_WORK"
JOB_NOTE = "job.json"  # in a work directory: what its job was handed


def work_root() -> Path:
    """The folder of all work directories: the environment's VALM_WORK, else ``work`` right here."""
    return Path(os.environ.get(WORK_ROOT, "work"))


@contextmanager
def work_directory(verb: str, fingerprint: str, *, helps: bool = False) -> Iterator[Path]:
    """Hold ``work/<verb>/<fingerprint>/`` alone for the time of the block.

    Args:
        helps: This process helps the one that holds it, so it takes no lock.

    Raises:
        InputError: Nothing can be written there.
        BusyError: Another process holds it. The lock ends with its process, kill -9 included.
    """
    directory = work_root() / verb / fingerprint
    require_writable(directory)
    if helps:
        yield directory
        return
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "another process is doing the same work",
                where=directory,
                cure="wait for it to end, or stop it, and run the command again",
            ) from error
        yield directory
