"""Writes ``envs/<name>.yaml`` and its ``post-deploy.sh`` from ``requirements/<name>.txt``.

A conda environment brings Python and pip; everything else comes by pip with the lock's versions and
hashes, one line a package. ``--check`` only says whether a file has drifted.
"""

from __future__ import annotations

import sys
from pathlib import Path

NAMES = ("download", "ingest", "embed", "retrieve", "retrieve.gpu", "train", "evaluate", "report")
ENVIRONMENTS, REQUIREMENTS = Path("envs"), Path("requirements")

# What conda brings.
CONDA_PART = """\
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
"""
HEADER = "# Generated from requirements/{name}.txt by `make lock`.\n" + CONDA_PART + "  - pip:\n"
POST_DEPLOY = """\
#!/usr/bin/env bash
# Our own package, as it lies in this checkout, enters the environment by one line.
# A pin file brings conda's part only: where there is one, pip's part comes from here.
set -euo pipefail
if [ -f envs/{name}.linux-64.pin.txt ]; then
    python -m pip install --quiet --no-input --require-hashes --requirement requirements/{name}.txt
fi
packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$PWD/src" > "$packages/valm.pth"
"""


def pinned_lines(requirements: Path) -> list[str]:
    """One line a package: version, marker, hashes; comments left out."""
    joined = requirements.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(" # ")[0] for line in joined.splitlines()]
    return [" ".join(line.split()) for line in lines if line.strip() and line.strip()[0] != "#"]


def environments() -> dict[Path, str]:
    """Every generated file and its text."""
    files = {}
    for name in NAMES:
        pins = [f'      - "{line}"\n' for line in pinned_lines(REQUIREMENTS / f"{name}.txt")]
        files[ENVIRONMENTS / f"{name}.yaml"] = HEADER.format(name=name) + "".join(pins)
        files[ENVIRONMENTS / f"{name}.post-deploy.sh"] = POST_DEPLOY.format(name=name)
    return files


def main(check: bool) -> None:
    """Write what differs, or exit with the names of what does."""
    drifted = {
        path: text
        for path, text in environments().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    if check and drifted:
        sys.exit(f"error: {', '.join(map(str, drifted))} differ from requirements/ -> make lock")
    for path, text in drifted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main(check="--check" in sys.argv[1:])
