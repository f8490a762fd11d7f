"""Work directories: where a killed job leaves what it can continue from.

``work/<verb>/<fingerprint>/`` is unknown to Snakemake, which deletes declared outputs when a job
starts again. The fingerprint covers config section, code and parents, so stale state is never met.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valm.core.atomic import require_writable
from valm.errors import BusyError

WORK_ROOT = "VALM_WORK"
LOCK, MAXIMUM_NAME = ".lock", 300
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
    with (directory / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise BusyError(
                f"another process is doing the same work: {lock.read(MAXIMUM_NAME) or 'unknown'}",
                where=directory,
                cure="wait for it to end, or stop it, and run the command again",
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield directory


def remove_state(directory: Path) -> None:
    """Remove what a finished job has left to go on from; its note and lock stay."""
    for path in directory.iterdir():
        if path.name not in (JOB_NOTE, LOCK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
