"""``build-index``: the picture keys as a faiss index; and how it is searched.

An index is a file and nprobe is part of it, so the index that was measured is the one that is used.
Flat is exact search: faiss multiplies blocks of queries with blocks of keys and keeps the best K, at
the speed of the matrix product; torch's matmul and topk take longer (``benchmarks/exact_search.py``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from valm.config.retrieve import Index
from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import Manifest, read_manifest, verify_files
from valm.errors import InputError, IntegrityError
from valm.ingest.pictures.retracted import retracted_ids
from valm.retrieve.factory import bytes_per_vector, inverted_lists, make_index
from valm.retrieve.keys import PictureKeys, open_keys

KIND = "index"
# Queries are searched so many at a time: it bounds the memory of a search and, since a product of
# matrices is rounded by their shapes, is the one shape of a search whose bits are to depend on no company.
BLOCK_QUERIES = 1_024
# Lists that were joined on disk lie beside the index and are mapped; other indices have none.
LISTS_ON_DISK = faiss.IO_FLAG_ONDISK_SAME_DIR | faiss.IO_FLAG_READ_ONLY


def build_index(
    job: Job,
    *,
    vectors: Path,
    index: str,
    output: Path,
    retracted: Path | None = None,
) -> None:
    """Write ``<index>.faiss`` and its manifest.

    Args:
        vectors: Manifest of the picture vectors.
        index: Name of the index in ``retrieve.indices``.
        output: ``<index>.manifest.json``.
        retracted: Manifest of the retracted pictures, which the index does not hold.

    Raises:
        ConfigError: The factory string does not fit the keys.
    """
    settings, keys = what_is_indexed(job, vectors, index, retracted)
    built = make_index(settings, keys, job.seed)
    file = output.with_name(f"{index}.faiss")
    with atomic_path(file) as temporary:
        faiss.write_index(built, str(temporary))
    job.finish(
        output,
        kind=KIND,
        rows=len(keys),
        files=[file],
        parents=[vectors, *([retracted] if retracted else [])],
        facts=index_facts(settings, built, bytes_per_vector(built, file.stat().st_size)),
    )
    logger.info("index %s (%s) of %s pictures", index, settings.factory, f"{len(keys):,}")


def what_is_indexed(
    job: Job, vectors: Path, index: str, retracted: Path | None
) -> tuple[Index, PictureKeys]:
    """The settings of an index, exact if so few pictures ask for it, and the keys that it holds."""
    entries = job.value("retrieve.indices", list[Index])
    settings = next(entry for entry in entries if entry.name == index)
    without = retracted_ids(retracted)
    keys = open_keys(vectors, settings.keys, settings.pictures_fraction, job.seed, without)
    return settings.holding(len(keys)), keys


def index_facts(settings: Index, built: faiss.Index, bytes_a_vector: int) -> dict[str, Any]:
    """What the manifest of an index states."""
    lists = inverted_lists(built)
    return {
        "index": settings.name,
        "factory": settings.factory,
        "keys": settings.keys,
        "similarity": settings.similarity,
        "pictures_fraction": settings.pictures_fraction,
        "nprobe": None if lists is None else int(lists.nprobe),
        "minimum_score": settings.minimum_score,
        "bytes_per_vector": bytes_a_vector,
    }


class Excluded(NamedTuple):
    """Pairs of a query and a picture that it is not to find, each pair once.

    Attributes:
        query: int64 [pairs], by the query's place.
        picture: int64 [pairs].
    """

    query: NDArray[np.int64]
    picture: NDArray[np.int64]

    def places(self, queries: int) -> NDArray[np.int64]:
        """How much deeper each query is searched, [queries]: a power of two, so that few depths are."""
        excluded = np.bincount(self.query, minlength=queries)
        return np.where(excluded, 2 ** np.ceil(np.log2(np.maximum(excluded, 1))), 0).astype(int)

    def among(self, queries: NDArray[np.intp], found: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether some queries, [n], are not to find what they have found, ids or -1: [n, depth]."""
        own = np.isin(self.query, queries)
        span = max(int(found.max(initial=0)), int(self.picture.max(initial=0))) + 2
        pairs = self.query[own] * span + self.picture[own] + 1
        return np.isin(queries[:, np.newaxis] * span + found + 1, pairs)


class Searcher:
    """Finds the pictures whose keys are most similar to queries, by the index's similarity.

    Attributes:
        pictures: How many pictures the index holds.
        table_rows: How many there are; every id is below.
        minimum_score: Pictures of a smaller score are not found; None: all are.

    Args:
        vectors: Manifest of the picture vectors.
        index: Manifest of an index of them.

    Raises:
        IntegrityError: The index was built from other vectors, or its file differs from what its
            manifest states (faiss reads what it is given, so it is given nothing unverified).
    """

    def __init__(self, vectors: Path, index: Path):
        manifest = read_manifest(index, KIND)
        _check_parent(manifest, vectors, index)
        verify_files(index)
        self._index = faiss.read_index(
            str(index.with_name(f"{manifest.facts['index']}.faiss")), LISTS_ON_DISK
        )
        self.pictures: int = manifest.rows
        self.table_rows: int = read_manifest(vectors, "vectors").rows
        self.minimum_score: float | None = manifest.facts.get("minimum_score")
        # faiss gives squared distances, the smallest first; a score is the larger the better.
        self._sign = np.float32(-1 if self._index.metric_type == faiss.METRIC_L2 else 1)

    def search(
        self,
        keys: NDArray[np.float32],
        top_k: int,
        *,
        excluded: Excluded | None = None,
        fixed_shapes: bool = False,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
        """The best pictures of each query, best first; equal queries are searched once.

        A query that is not to find some pictures is searched as many places deeper, so that K are left.

        Args:
            keys: float32 [n, E], unit length.
            top_k: K.
            excluded: Which pictures which queries are not to find; None: all may find all.
            fixed_shapes: Give each query the bits that it gets whatever else is asked for.

        Returns:
            Picture ids int32 [n, K], scores float32 [n, K] (inner products, or squared distances with
            a minus), and a mask bool [n, K] that is False where nothing was found (fewer pictures than
            K, empty lists, or none similar enough): there the id is -1, which is no row, and the score 0.

        Raises:
            InputError: A query is no vector of finite numbers.
        """
        if not np.isfinite(keys).all():
            raise InputError(
                "a query holds NaN or infinity",
                cure="make the encoder again; if it stays, its training has diverged",
            )
        found = np.empty((len(keys), top_k), np.int64)
        scores = np.empty((len(keys), top_k), np.float32)
        deeper = np.zeros(len(keys), np.int64) if excluded is None else excluded.places(len(keys))
        for more in np.unique(deeper):
            own = np.flatnonzero(deeper == more)
            distinct, same = _distinct(keys[own])
            best, ids = self._best(distinct, top_k + int(more), fixed_shapes)
            best, ids = best[same], ids[same]
            if excluded is not None and more:
                ids[excluded.among(own, ids)] = -1
            left = np.argsort(ids < 0, axis=1, kind="stable")[:, :top_k]
            scores[own] = np.take_along_axis(best, left, axis=1)
            found[own] = np.take_along_axis(ids, left, axis=1)
        mask = found >= 0
        if self.minimum_score is not None:
            mask &= scores >= self.minimum_score
        ids_found = np.where(mask, found, -1).astype(np.int32)
        return ids_found, np.where(mask, scores, np.float32(0)), mask

    def _best(
        self, keys: NDArray[np.float32], depth: int, fixed_shapes: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and ids of the best pictures of each query, [n, depth]; -1 where there are no more."""
        scores = np.empty((len(keys), depth), np.float32)
        found = np.empty((len(keys), depth), np.int64)
        for first in range(0, len(keys), BLOCK_QUERIES):
            block = keys[first : first + BLOCK_QUERIES]
            count = len(block)
            if fixed_shapes:
                block = np.pad(block, ((0, BLOCK_QUERIES - count), (0, 0)))
            best, ids = self._index.search(block, depth)
            scores[first : first + count] = best[:count]
            found[first : first + count] = ids[:count]
        return scores * self._sign, found


def _check_parent(manifest: Manifest, vectors: Path, index: Path) -> None:
    if read_manifest(vectors, "vectors").digest not in manifest.parents.values():
        raise IntegrityError(
            "the index was built from other vectors",
            where=index,
            cure=f"delete {index} and run the study again",
        )


def _distinct(keys: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Queries that differ in any bit, and for each query its place among them."""
    rows = np.ascontiguousarray(keys, np.float32)
    as_bytes = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]
    _, example, same = np.unique(as_bytes, return_index=True, return_inverse=True)
    return rows[example], same
