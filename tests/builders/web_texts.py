"""Web text in CC-100's layout, made in a test's folder, and the job that reads it."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from typing import Any

import numpy as np
from builders.texts import text_job

from valm.ingest.text.write import write_text

WORDS = "the of a red green boat house sees near river old tree small bird stone under and".split()
PACKERS = {"xz": lambda data: lzma.compress(data, preset=0), "gz": gzip.compress, "txt": bytes}


def made_documents(count: int, seed: int = 7) -> list[str]:
    """Documents of one to five lines, all different."""
    draw = np.random.default_rng(seed)
    lines = [
        " ".join(draw.choice(WORDS, size=draw.integers(5, 30))) + f" {number}."
        for number in range(5 * count)
    ]
    sizes = draw.integers(1, 6, count)
    return ["\n".join(lines[5 * n : 5 * n + size]) for n, size in enumerate(sizes)]


def write_web_file(path: Path, *members: bytes) -> Path:
    """Write members one after the other, packed as the path's ending says."""
    pack = PACKERS[path.suffix[1:]]
    path.write_bytes(b"".join(map(pack, members)))
    return path


def packed_documents(path: Path, documents: list[str]) -> Path:
    """Write documents with a blank line after each, in two members."""
    data = "".join(f"{document}\n\n" for document in documents).encode()
    return write_web_file(path, data[: len(data) // 2], data[len(data) // 2 :])


def write_web_text(folder: Path, file: Path, threads: int = 1, **params: Any) -> Path:
    """Run ``write-text`` for ``cc100``; returns the manifest."""
    settings = {"cc100": {"files": [str(file)]} | params}
    job = text_job("write-text", threads=threads, text={"params": settings})
    output = folder / "cc100.manifest.json"
    write_text(job, source="cc100", raw=[], pictures=None, output=output)
    return output
