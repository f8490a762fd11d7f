"""``illustrate-task``: every token of a task's texts gets its pictures.

Apart from the texts themselves, so that a model without pictures answers them without looking up any:
another encoder or another K asks it nothing anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from valm.config.retrieve import Preset
from valm.core.atomic import write_array
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.embed.encoder import load_encoder
from valm.errors import InputError
from valm.evaluate.questions.own_pictures import PicturesByName, own_pictures
from valm.evaluate.questions.prepared import KIND as TASK_KIND
from valm.evaluate.questions.prepared import MEASURED, Requests, read_requests
from valm.ingest.pictures.retracted import retracted_ids
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import look_up

KIND = "task_pictures"
COLUMNS = ("ids", "values", "own")


@dataclass(frozen=True)
class TaskPictures:
    """The pictures of a task's T tokens.

    Attributes:
        ids: int32 [T, K] pictures of each token, -1 where nothing was found.
        values: float16 [T, V] text states.
        own: int32 [T, K] pictures of the very things that the token's text is about.
    """

    ids: NDArray[np.int32]
    values: NDArray[np.float16]
    own: NDArray[np.int32]

    @classmethod
    def read(cls, manifest: Path) -> TaskPictures:
        """Read what ``illustrate-task`` has written.

        Raises:
            InputError: The columns do not have the rows that the manifest states.
        """
        rows = read_manifest(manifest, KIND).rows
        files = _files(manifest)
        pictures = cls(*(np.load(file, allow_pickle=False) for file in files))
        if {len(column) for column in (pictures.ids, pictures.values, pictures.own)} != {rows}:
            cure = f"delete {manifest} and run the study again"
            raise InputError("a task's pictures do not fit together", where=manifest, cure=cure)
        return pictures


def illustrate_task(
    job: Job,
    *,
    request: Path,
    pictures: Path,
    encoder: Path,
    vectors: Path,
    index: Path,
    output: Path,
    retracted: Path | None = None,
) -> None:
    """Write ``<task>.{ids,values,own}.npy``; nothing for a task that is unavailable.

    Args:
        request: Manifest of the prepared task.
        pictures: Manifest of the picture list, whose names tell what each picture shows.
        encoder: Manifest of the encoder.
        vectors: Manifest of the picture vectors.
        index: Manifest of the index that is searched.
        output: ``<task>.manifest.json``.
        retracted: Manifest of the retracted pictures, which nobody is shown.
    """
    torch.set_num_threads(job.threads)
    parents = [request, pictures, encoder, vectors, index, *([retracted] if retracted else [])]
    if read_manifest(request, TASK_KIND).facts["status"] != MEASURED:
        job.finish(output, kind=KIND, rows=0, files=[], parents=parents)
        return
    requests, items = read_requests(request)
    (preset,) = job.value("retrieve.presets", list[Preset])
    found = look_up(
        _documents(requests),
        load_encoder(encoder),
        Searcher(vectors, index),
        preset.query,
        job.value("retrieve.top_k", int),
        _came_with(requests) if preset.exclude_same_document else {},
    )
    ids, values = (np.concatenate([getattr(f, name) for f in found]) for name in ("ids", "values"))
    named = PicturesByName(pictures, retracted_ids(retracted).tolist())
    own, shown = own_pictures(requests, items, named, ids)
    files = _files(output)
    for array, file in zip((ids, values, own), files, strict=True):
        write_array(file, array)
    job.finish(
        output,
        kind=KIND,
        rows=len(requests.tokens),
        files=files,
        parents=parents,
        facts={"items_with_own": shown},
    )


def _documents(requests: Requests) -> list[list[int]]:
    """What pictures are looked up for, piece by piece in the order of the texts' tokens.

    A passage's first end of text is a document of its own, since no query of a token stream reads
    beyond its document: the passage's tokens get the pictures that they have in the stream.
    """
    texts = [text.tolist() for text in np.split(requests.tokens, requests.offsets[1:-1])]
    if len(requests.choices):
        return texts
    return [piece for text in texts for piece in (text[:1], text[1:])]


def _came_with(requests: Requests) -> dict[int, list[int]]:
    """The pictures that these documents came with, by a document's number: every second is a passage."""
    pictures: dict[int, list[int]] = {}
    for passage, picture in requests.came_with.tolist():
        pictures.setdefault(2 * passage + 1, []).append(picture)
    return pictures


def _files(manifest: Path) -> list[Path]:
    task = manifest.name.removesuffix(".manifest.json")
    return [manifest.with_name(f"{task}.{column}.npy") for column in COLUMNS]
