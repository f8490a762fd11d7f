"""Writes ``envs/<name>.linux-64.pin.txt``: the exact conda packages of each environment.

All environments have the same conda part (Python and pip), so conda makes it once. Nothing is
written where conda is missing, is for another platform, or does not reach the channel.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from write_environments import CONDA_PART, ENVIRONMENTS, NAMES

PLATFORM = "linux-64"
MISSING = 7  # the exit code of a tool or source that is missing


class CannotPinError(Exception):
    """Why no pin file can be written, and the cure."""


def conda(*arguments: str) -> str:
    """Run conda; what it prints."""
    run = subprocess.run(["conda", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        said = (run.stderr or run.stdout).strip().splitlines() or ["it says nothing"]
        raise CannotPinError(
            f"conda {arguments[0]} failed: {said[-1]} -> run it where the channel can be reached"
        )
    return run.stdout


def explicit_list() -> str:
    """What conda's part consists of here and now: one address and digest a line."""
    if shutil.which("conda") is None:
        raise CannotPinError("there is no conda on PATH -> install one, then make pins")
    platform = json.loads(conda("info", "--json"))["platform"]
    if platform != PLATFORM:
        raise CannotPinError(f"this conda is for {platform} -> make pins on {PLATFORM}")
    with TemporaryDirectory() as folder:
        file, prefix = Path(folder) / "conda_part.yaml", Path(folder) / "environment"
        file.write_text(CONDA_PART, encoding="utf-8")
        conda("env", "create", "--quiet", "--file", str(file), "--prefix", str(prefix))
        listed = conda("list", "--explicit", "--md5", "--prefix", str(prefix))
    if "@EXPLICIT" not in listed or "file://" in listed:
        raise CannotPinError("conda took packages of this machine -> use the real channel")
    return listed[listed.index("@EXPLICIT") :]


def main() -> None:
    """Write all pin files, or say in one line why not."""
    try:
        listed = explicit_list()
    except CannotPinError as error:
        print(f"error: no pin file was written: {error}", file=sys.stderr)
        sys.exit(MISSING)
    for name in NAMES:
        file = ENVIRONMENTS / f"{name}.{PLATFORM}.pin.txt"
        file.write_text(f"# platform: {PLATFORM}; made by `make pins`\n{listed}", encoding="utf-8")
        print(f"wrote {file}")


if __name__ == "__main__":
    main()
