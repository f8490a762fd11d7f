"""``measure-recall``: what each index loses against exact search, and what it costs.

The queries are real ones: states of tokens drawn from the validation text, since an index that finds
pictures by pictures may still miss them by text. recall@k is the share of an index's first k pictures
that belong to the k best. "Best" is decided by inner products in float64, and pictures that tie with
the k-th count, so exact search scores 1 whatever order it puts equal keys in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.config.phases import Index, Query, Recall
from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.seeding import numpy_generator
from valm.embed.encoder import load_encoder
from valm.errors import InputError, ValmError
from valm.ingest.tokens import TokenStream
from valm.retrieve.index import Searcher, open_keys
from valm.retrieve.queries import queried_texts, states_at

BLOCK_ROWS = 4_096
# Inner products of unit vectors in float32 are this far off, at the most.
ROUNDING = 1e-6
TIMED_RUNS = 3


def measure_recall(
    job: Job,
    *,
    vectors: Path,
    indices: Sequence[Path],
    encoder: Path,
    tokens: Path,
    output: Path,
) -> None:
    """Write ``recall.json``: for each index its recall, bytes a vector and queries a second.

    The manifest's facts hold all but the speed, and do not list the file, whose bytes differ from run
    to run.

    Args:
        vectors: Manifest of the picture vectors.
        indices: Manifests of the indices.
        encoder: Manifest of the encoder.
        tokens: Manifest of the token streams.
        output: ``recall.manifest.json``.

    Raises:
        ValmError: The recall of an index is below its floor; the file is written before.
        InputError: There is no validation text.
    """
    settings = job.settings("retrieve.recall", Recall)
    top_k = job.value("retrieve.top_k", int)
    depths = sorted({*settings.at, top_k})
    entries = {entry.name: entry for entry in job.value("retrieve.indices", list[Index])}
    keys = open_keys(vectors)
    queries = _draw_queries(job, settings.queries, encoder, tokens)
    best = best_scores(keys, queries, max(depths))
    rows = []
    for manifest in indices:
        facts = read_manifest(manifest, "index").facts
        ids, speed = _timed_search(Searcher(vectors, manifest), queries, max(depths))
        recall = {str(k): recall_at(k, ids, keys, queries, best) for k in depths}
        named = {name: facts[name] for name in ("index", "factory", "nprobe", "bytes_per_vector")}
        rows.append(
            named | {"recall": recall, "queries": len(queries), "queries_per_second": speed}
        )
        logger.info("%s: recall %s, %s queries/s", facts["index"], recall, f"{speed:,.0f}")
    write_json(output.with_name("recall.json"), rows)
    for row in rows:
        _check_floor(row, entries[row["index"]], top_k)
    job.finish(
        output,
        kind="recall",
        rows=len(queries),
        files=[],
        parents=[vectors, *indices, encoder, tokens],
        facts={"indices": [_without_speed(row) for row in rows]},
    )


def best_scores(
    keys: NDArray[np.float16], queries: NDArray[np.float32], k: int
) -> NDArray[np.float64]:
    """The k largest inner products of each query, best first, by brute force in float64.

    Args:
        keys: float16 [N, E]; may be memory-mapped.
        queries: float32 [n, E].

    Returns:
        float64 [n, min(k, N)].
    """
    exact = queries.astype(np.float64)
    best = np.empty((len(queries), 0))
    for first in range(0, len(keys), BLOCK_ROWS):
        block = keys[first : first + BLOCK_ROWS].astype(np.float64)
        scores = np.concatenate([best, exact @ block.T], axis=1)
        kept = min(k, scores.shape[1])
        best = np.partition(scores, scores.shape[1] - kept, axis=1)[:, -kept:]
    return np.sort(best, axis=1)[:, ::-1]


def recall_at(
    k: int,
    ids: NDArray[np.int32],
    keys: NDArray[np.float16],
    queries: NDArray[np.float32],
    best: NDArray[np.float64],
) -> float:
    """The share of the k best pictures that an index found among its first k.

    Args:
        k: Depth; where there are fewer pictures, all of them.
        ids: What the index found, int32 [n, at least k]; -1 is nothing.
        keys: float16 [N, E].
        queries: float32 [n, E].
        best: What there is to find, float64 [n, at least k], from ``best_scores``.
    """
    k = min(k, best.shape[1])
    found = ids[:, :k]
    vectors = keys[np.maximum(found, 0)].astype(np.float64)
    scores = np.einsum("qke,qe->qk", vectors, queries.astype(np.float64))
    good = (found >= 0) & (scores >= best[:, k - 1 : k] - ROUNDING)
    return round(float(good.mean()), 4)


def _draw_queries(job: Job, count: int, encoder: Path, tokens: Path) -> NDArray[np.float32]:
    """Keys of tokens drawn without replacement from the validation text."""
    stream = TokenStream.open(tokens, "valid")
    if len(stream.tokens) == 0:
        raise InputError(
            "there is no validation text to draw queries from",
            where=tokens,
            cure="raise ingest.text.split.valid_fraction",
        )
    generator = numpy_generator(job.seed, "recall queries")
    drawn = generator.choice(len(stream.tokens), min(count, len(stream.tokens)), replace=False)
    query = job.settings("retrieve.query", Query)
    texts = queried_texts(stream.documents, query)
    return states_at(load_encoder(encoder), stream.tokens, texts, np.sort(drawn), query).keys


def _timed_search(
    searcher: Searcher, queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], float]:
    """What an index finds, and its queries a second in the best of a few runs."""
    fastest = float("inf")
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        ids, _, _ = searcher.search(queries, k)
        fastest = min(fastest, time.perf_counter() - start)
    return ids, round(len(queries) / fastest, 1)


def _check_floor(row: dict[str, Any], entry: Index, top_k: int) -> None:
    recall = row["recall"][str(top_k)]
    if recall >= entry.recall_floor:
        return
    raise ValmError(
        f"index {entry.name!r} finds too little: recall@{top_k} is {recall:.3f},"
        f" the floor {entry.recall_floor:.3f}",
        where=f"retrieve.indices[{entry.name}]",
        cure="choose a factory string with more bytes a vector"
        if row["nprobe"] is None
        else f"raise nprobe (now {row['nprobe']}) or the bytes a vector of {entry.factory!r}",
    )


def _without_speed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "queries_per_second"}
