"""A prepared task: texts as tokens, made once for all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.core.atomic import atomic_file, atomic_path
from valm.core.manifest import read_manifest
from valm.errors import InputError

KIND = "task"
MEASURED, UNAVAILABLE = "measured", "unavailable"  # a task whose data cannot be had stays listed


NO_TOKEN = -1  # where a candidate has fewer tokens than the longest


@dataclass(frozen=True)
class Requests:
    """N texts of T tokens in all; behind the N questions or passages come the M endings.

    A candidate answer of several tokens asks for its later ones behind its first: an ending is a
    question followed by all tokens of one candidate but the last.

    Attributes:
        tokens: int64 [T].
        offsets: int64 [N + M + 1], where each text starts.
        choices: int64 [C, L] tokens of the candidate answers, -1 behind the last; none for passages.
        endings: int64 [M, 2] question and candidate of each ending.
    """

    tokens: NDArray[np.int64]
    offsets: NDArray[np.int64]
    choices: NDArray[np.int64]
    endings: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of questions or passages."""
        return len(self.offsets) - 1 - len(self.endings)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.diff(self.offsets)


def write_requests(
    manifest: Path, requests: Requests, items: Sequence[dict[str, Any]]
) -> list[Path]:
    """Write arrays (``.npz``, no pickle) and items (``.parquet``) beside a task's manifest."""
    arrays, table = _files(manifest)
    named: dict[str, NDArray[Any]] = {f.name: getattr(requests, f.name) for f in fields(requests)}
    with atomic_file(arrays) as file:
        np.savez(file, allow_pickle=False, **named)
    with atomic_path(table) as path:
        pl.DataFrame(items, infer_schema_length=None).write_parquet(path)
    return [arrays, table]


def read_requests(manifest: Path) -> tuple[Requests, pl.DataFrame]:
    """Read a prepared task.

    Raises:
        InputError: The arrays do not fit together.
    """
    read_manifest(manifest, KIND)
    arrays, table = _files(manifest)
    with np.load(arrays, allow_pickle=False) as stored:
        requests = Requests(**{field.name: stored[field.name] for field in fields(Requests)})
    items = pl.read_parquet(table)
    if len(items) != len(requests) or requests.offsets[-1] != len(requests.tokens):
        cure = "delete it and run the study again"
        raise InputError("a task's files do not fit together", where=manifest, cure=cure)
    return requests, items


def _files(manifest: Path) -> tuple[Path, Path]:
    name = manifest.name.removesuffix(".manifest.json")
    return manifest.with_name(f"{name}.npz"), manifest.with_name(f"{name}.parquet")
