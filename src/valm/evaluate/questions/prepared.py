"""A prepared task: texts as tokens, made once for all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
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
NOT_ASKED = "not asked"  # of a model that cannot answer such a task
TEXT = "text"  # the column of the texts themselves
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
        came_with: int64 [P, 2] passages, by their place, and the pictures that they came with.
    """

    tokens: NDArray[np.int64]
    offsets: NDArray[np.int64]
    choices: NDArray[np.int64]
    endings: NDArray[np.int64]
    came_with: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))

    @classmethod
    def of_questions(
        cls, questions: Sequence[Sequence[int]], choices: Sequence[Sequence[int]]
    ) -> Requests:
        """Questions with the same few candidates, each at least one token."""
        endings = [
            (number, place)
            for number in range(len(questions))
            for place, pieces in enumerate(choices)
            if len(pieces) > 1
        ]
        later = [[*questions[number], *choices[place][:-1]] for number, place in endings]
        padded = np.full((len(choices), max(map(len, choices))), NO_TOKEN, dtype=np.int64)
        for place, pieces in enumerate(choices):
            padded[place, : len(pieces)] = pieces
        return cls(
            *_end_to_end([*questions, *later]),
            choices=padded,
            endings=np.array(endings, dtype=np.int64).reshape(-1, 2),
        )

    @classmethod
    def of_passages(
        cls, passages: Sequence[Sequence[int]], came_with: Sequence[tuple[int, int]] = ()
    ) -> Requests:
        """Passages, each of which begins with what its first token is predicted from."""
        nothing = np.empty((0, 0), dtype=np.int64)
        pairs = np.array(came_with, np.int64).reshape(-1, 2)
        return cls(*_end_to_end(passages), nothing, nothing.reshape(0, 2), pairs)

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
    """Read a prepared task: its requests, and a row about each question or passage.

    Raises:
        InputError: The arrays do not fit together.
    """
    read_manifest(manifest, KIND)
    arrays, table = _files(manifest)
    with np.load(arrays, allow_pickle=False) as stored:
        requests = Requests(**{each.name: stored[each.name] for each in fields(Requests)})
    items = pl.read_parquet(table).drop(TEXT)
    if len(items) != len(requests) or requests.offsets[-1] != len(requests.tokens):
        cure = "delete it and run the study again"
        raise InputError("a task's files do not fit together", where=manifest, cure=cure)
    return requests, items


def read_texts(manifest: Path) -> list[str]:
    """What a prepared task asks or reads, as text, for models with a vocabulary of their own."""
    read_manifest(manifest, KIND)
    return pl.read_parquet(_files(manifest)[1], columns=[TEXT])[TEXT].to_list()


def _end_to_end(texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All tokens, and where each text starts."""
    tokens = np.fromiter((token for text in texts for token in text), np.int64)
    return tokens, np.cumsum([0, *map(len, texts)])


def _files(manifest: Path) -> tuple[Path, Path]:
    name = manifest.name.removesuffix(".manifest.json")
    return manifest.with_name(f"{name}.npz"), manifest.with_name(f"{name}.parquet")
