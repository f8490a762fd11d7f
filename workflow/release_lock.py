"""Releases Snakemake's lock on the current folder if the process that took it is gone.

After a kill -9 Snakemake leaves its lock behind and refuses to start. Nothing is done while a
snakemake works here: then this ends with exit code 5 and says which process it is.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

LOCKS = Path(".snakemake/locks")
BUSY = 5


def working_here() -> Iterator[psutil.Process]:
    """Snakemake processes whose current folder is this one."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [Path(word).name for word in (process.info["cmdline"] or [])[:3]]
        if "snakemake" in words and process.info["cwd"] == str(Path.cwd()):
            yield process


def main() -> None:
    """Unlock, or say who is at work."""
    for process in working_here():
        print(
            f"error: a snakemake is working here [process {process.pid} on {socket.gethostname()}]"
            f" -> wait for it, or stop it: kill {process.pid}",
            file=sys.stderr,
        )
        sys.exit(BUSY)
    if any(LOCKS.glob("*.lock")):
        print("a killed run left its lock: snakemake --unlock")
        subprocess.run(["snakemake", "--unlock", "--quiet", "all"], check=True)


if __name__ == "__main__":
    main()
