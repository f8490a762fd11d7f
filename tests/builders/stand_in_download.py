"""A stand-in for img2dataset: takes its options and writes its files, in any environment, and slowly if asked to."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
import time
import urllib.request
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SECONDS = "STAND_IN_SECONDS"  # for each picture


def stand_in(folder: Path) -> Path:
    """Write the program into a folder."""
    program = folder / "img2dataset"
    tests = str(Path(__file__).parents[1])
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {tests!r})\n"
        "from builders.stand_in_download import main\nmain()\n"
    )
    program.chmod(0o755)
    return program


def _asked(row: tuple[int, dict[str, str]]) -> tuple[int, dict[str, str], bytes, str | None]:
    number, facts = row
    time.sleep(float(os.environ.get(SECONDS, "0")))
    try:
        with urllib.request.urlopen(facts["url"], timeout=20) as answer:
            return number, facts, answer.read(), None
    except OSError as error:
        return number, facts, b"", str(error)


def main() -> None:
    """Download a list's pictures into one tar, in the order in which they come."""
    parser = argparse.ArgumentParser()
    for option in ("url_list", "output_folder"):
        parser.add_argument(f"--{option}", type=Path)
    given, _ = parser.parse_known_args()
    rows: list[dict[str, Any]] = []
    addresses = enumerate(pq.read_table(given.url_list).to_pylist())
    with tarfile.open(given.output_folder / "00000.tar", "w") as tar, ThreadPool(4) as pool:
        for number, facts, data, error in pool.imap_unordered(_asked, addresses):
            key = f"{number:09d}"
            row = {
                "key": key,
                "status": "failed_to_download" if error else "success",
                "error_message": error,
                "sha256": None if error else hashlib.sha256(data).hexdigest(),
            }
            rows.append(row)
            own = {
                "jpg": data,
                "txt": facts["caption"].encode(),
                "json": json.dumps(facts).encode(),
            }
            for ending, part in own.items() if not error else ():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size, info.mtime = len(part), int(time.time())
                tar.addfile(info, io.BytesIO(part))
    pq.write_table(pa.Table.from_pylist(rows), given.output_folder / "00000.parquet")
