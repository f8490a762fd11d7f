"""``measure-recall``: what each index loses against exact search, and what it costs.

The queries are real ones: states of tokens drawn from the validation text, since an index that finds
pictures by pictures may still miss them by text. They are formed as the preset that searches the index forms
them; an index that no preset searches is asked the first one's. recall@k is the share of an index's first k pictures
that belong to the k best. "Best" is decided in float64, by the similarity and the keys of that index,
and pictures that tie with the k-th count, so exact search scores 1 whatever order it puts equal keys in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from valm.config.retrieve import Index, Preset, Query, Recall
from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.seeding import numpy_generator
from valm.embed.encoder import load_encoder
from valm.errors import InputError, ValmError
from valm.ingest.pictures.retracted import retracted_ids
from valm.ingest.text.tokens import TokenStream
from valm.retrieve.index import Searcher
from valm.retrieve.keys import PictureKeys, open_keys
from valm.retrieve.queries import queried_texts, states_at

Kind = Literal["unit", "raw"]

BLOCK_ROWS = 4_096
# Inner products of unit vectors in float32 are this far off, at the most; of longer ones in proportion.
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
    retracted: Path | None = None,
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
        retracted: Manifest of the retracted pictures, which no index holds.

    Raises:
        ValmError: The recall of an index is below its floor; the file is written before.
        InputError: There is no validation text.
    """
    settings = job.settings("retrieve.recall", Recall)
    top_k = job.value("retrieve.top_k", int)
    depths = sorted({*settings.at, top_k})
    entries = {entry.name: entry for entry in job.value("retrieve.indices", list[Index])}
    presets = job.value("retrieve.presets", list[Preset])

    @cache
    def queries_of(query: Query) -> NDArray[np.float32]:
        return _draw_queries(job, query, settings.queries, encoder, tokens)

    @cache
    def exact_of(query: Query, kind: Kind, similarity: str, fraction: float) -> Exact:
        keys = open_keys(vectors, kind, fraction, job.seed, retracted_ids(retracted))
        return Exact.of(keys, queries_of(query), max(depths), similarity)

    rows = []
    for manifest in indices:
        facts = read_manifest(manifest, "index").facts
        entry = entries[facts["index"]]
        preset = next((each for each in presets if each.index == entry.name), presets[0])
        queries = queries_of(preset.query)
        exact = exact_of(preset.query, entry.keys, entry.similarity, entry.pictures_fraction)
        searcher = Searcher(vectors, manifest)
        searcher.minimum_score = None  # what it leaves out by intention is no loss
        ids, speed = _timed_search(searcher, queries, max(depths))
        recall = {str(k): recall_at(k, ids, queries, exact) for k in depths}
        named = {name: facts[name] for name in ("index", "factory", "nprobe", "bytes_per_vector")}
        rows.append(
            named
            | {"preset": preset.name, "recall": recall}
            | {"queries": len(queries), "queries_per_second": speed}
        )
        logger.info("%s: recall %s, %s queries/s", facts["index"], recall, f"{speed:,.0f}")
    write_json(output.with_name("recall.json"), rows)
    for row in rows:
        _check_floor(row, entries[row["index"]], top_k)
    job.finish(
        output,
        kind="recall",
        rows=settings.queries,
        files=[],
        parents=[vectors, *indices, encoder, tokens, *([retracted] if retracted else [])],
        facts={"indices": [_without_speed(row) for row in rows]},
    )


@dataclass(frozen=True)
class Exact:
    """What there is to find, by brute force in float64.

    Attributes:
        keys: The keys that are searched.
        similarity: As in ``retrieve.indices``.
        best: The largest scores of each query, best first, float64 [n, at most N].
    """

    keys: PictureKeys
    similarity: str
    best: NDArray[np.float64]

    @classmethod
    def of(cls, keys: PictureKeys, queries: NDArray[np.float32], k: int, similarity: str) -> Exact:
        """The k best scores of each query.

        Args:
            keys: The keys of the pictures that the index holds.
            queries: float32 [n, E].
            k: Depth; where there are fewer pictures, all of them.
            similarity: As in ``retrieve.indices``.
        """
        best = np.empty((len(queries), 0))
        for first in range(0, len(keys), BLOCK_ROWS):
            block = keys.rows(slice(first, first + BLOCK_ROWS))
            scores = np.concatenate([best, _scores(queries, block, similarity)], axis=1)
            kept = min(k, scores.shape[1])
            best = np.partition(scores, scores.shape[1] - kept, axis=1)[:, -kept:]
        return cls(keys, similarity, np.sort(best, axis=1)[:, ::-1])

    @property
    def rounding(self) -> float:
        """How far scores in float32 may be off."""
        return ROUNDING * max(1.0, self.keys.longest) ** (2 if self.similarity == "l2" else 1)


def _scores(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], similarity: str
) -> NDArray[np.float64]:
    """Scores of queries [n, E] with vectors [m, E], or [n, m, E] of their own, float64 [n, m].

    Squared distances order pictures as q·v - |v|²/2 does, since |q - v|² = |q|² - 2 (q·v - |v|²/2).
    """
    mine, each = queries.astype(np.float64), vectors.astype(np.float64)
    scores = mine @ each.T if each.ndim == 2 else np.einsum("qe,qke->qk", mine, each)
    return scores if similarity == "inner_product" else scores - (each**2).sum(axis=-1) / 2


def recall_at(k: int, ids: NDArray[np.int32], queries: NDArray[np.float32], exact: Exact) -> float:
    """The share of the k best pictures that an index found among its first k.

    Args:
        k: Depth; where there are fewer pictures, all of them.
        ids: What the index found, int32 [n, at least k]; -1 is nothing.
        queries: float32 [n, E].
        exact: What there is to find, at least to that depth.
    """
    k = min(k, exact.best.shape[1])
    found = ids[:, :k]
    scores = _scores(queries, exact.keys.of(np.maximum(found, 0)), exact.similarity)
    good = (found >= 0) & (scores >= exact.best[:, k - 1 : k] - exact.rounding)
    return round(float(good.mean()), 4)


def _draw_queries(
    job: Job, query: Query, count: int, encoder: Path, tokens: Path
) -> NDArray[np.float32]:
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
        cure="choose a factory string with more bytes a vector, or more links (HNSW)"
        if row["nprobe"] is None
        else f"raise nprobe (now {row['nprobe']}) or the bytes a vector of {entry.factory!r}",
    )


def _without_speed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "queries_per_second"}
