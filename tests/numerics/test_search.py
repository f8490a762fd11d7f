"""Search against brute force in float64; recall in cases that can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from builders.retrieval import unit_vectors, write_index, write_vectors

from valm.retrieve import index as index_module
from valm.retrieve.index import Searcher
from valm.retrieve.recall import best_scores, recall_at


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_exhaustive_search_is_brute_force(
    tmp_path: Path, factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flat, and inverted lists that are all probed; in blocks, with queries that repeat."""
    monkeypatch.setattr(index_module, "BLOCK_QUERIES", 64)
    keys = unit_vectors(700)
    queries = unit_vectors(300, seed=1).astype(np.float32)
    queries = np.concatenate([queries, queries[::-1]])
    vectors = write_vectors(tmp_path, keys)
    searcher = Searcher(vectors, write_index(tmp_path, vectors, factory, nprobe=8))
    ids, scores, mask = searcher.search(queries, 4)
    exact = queries.astype(np.float64) @ keys.astype(np.float64).T
    best = np.argsort(-exact, axis=1)[:, :4]
    assert np.array_equal(ids, best) and mask.all()
    assert np.allclose(scores, np.take_along_axis(exact, best, 1), atol=1e-6)
    assert ids.dtype == np.int32 and scores.dtype == np.float32


@pytest.mark.parametrize(("factory", "nprobe"), [("Flat", 1), ("IVF3,Flat", 1)])
def test_where_nothing_is_found_the_mask_says_so(tmp_path: Path, factory: str, nprobe: int) -> None:
    """Fewer pictures than K, and a list that holds fewer than K."""
    vectors = write_vectors(tmp_path, unit_vectors(3))
    searcher = Searcher(vectors, write_index(tmp_path, vectors, factory, nprobe))
    ids, scores, mask = searcher.search(unit_vectors(5, seed=1).astype(np.float32), 8)
    found = 3 if factory == "Flat" else 1
    assert (mask.sum(axis=1) == found).all() and mask[:, :found].all()
    assert (ids[mask] >= 0).all() and (ids[~mask] == -1).all() and (scores[~mask] == 0).all()


def test_best_scores_are_those_of_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valm.retrieve.recall.BLOCK_ROWS", 7)
    keys, queries = unit_vectors(50), unit_vectors(9, seed=1).astype(np.float32)
    exact = -np.sort(-(queries.astype(np.float64) @ keys.astype(np.float64).T), axis=1)
    assert np.allclose(best_scores(keys, queries, 8), exact[:, :8], atol=1e-12)
    assert best_scores(keys, queries, 80).shape == (9, 50)


def test_recall_in_closed_form() -> None:
    """Keys are the axes, so a query's components are its scores."""
    keys = np.eye(6, dtype=np.float16)
    queries = np.array([[6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]], np.float32) / 10
    best = best_scores(keys, queries, 4)
    ids = np.array([[0, 2, 5, -1], [5, 4, 3, 2]], np.int32)
    assert recall_at(1, ids, keys, queries, best) == 1.0
    assert recall_at(2, ids, keys, queries, best) == (1 + 2) / 4
    assert recall_at(4, ids, keys, queries, best) == (2 + 4) / 8


def test_any_of_the_pictures_that_tie_counts() -> None:
    keys = np.ones((4, 1), np.float16)
    queries = np.ones((1, 1), np.float32)
    best = best_scores(keys, queries, 2)
    assert recall_at(2, np.array([[3, 1]], np.int32), keys, queries, best) == 1.0
    assert recall_at(9, np.array([[3, 1]], np.int32), keys, queries, best) == 1.0
