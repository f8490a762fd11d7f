"""Search against brute force in float64; recall in cases that can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from builders.retrieval import unit_vectors, write_index, write_vectors

from valm.retrieve import index as index_module
from valm.retrieve.index import Excluded, Searcher
from valm.retrieve.keys import PictureKeys, drawn_pictures, open_keys
from valm.retrieve.recall import Exact, recall_at


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


@pytest.mark.parametrize("kind", ["unit", "raw"])
@pytest.mark.parametrize("similarity", ["inner_product", "l2"])
@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_raw_keys_and_squared_distances_are_brute_force(
    tmp_path: Path, factory: str, similarity: str, kind: str
) -> None:
    keys, queries = unit_vectors(500), unit_vectors(60, seed=1).astype(np.float32)
    norms = np.random.default_rng(2).uniform(0.5, 4, 500).astype(np.float32)
    vectors = write_vectors(tmp_path, keys, norms)
    searcher = Searcher(
        vectors, write_index(tmp_path, vectors, factory, 8, keys=kind, similarity=similarity)
    )
    ids, scores, mask = searcher.search(queries, 5)
    table = keys.astype(np.float64) * (norms[:, np.newaxis] if kind == "raw" else 1)
    exact = queries.astype(np.float64) @ table.T
    if similarity == "l2":
        exact = -((queries.astype(np.float64)[:, np.newaxis] - table) ** 2).sum(axis=2)
    best = np.argsort(-exact, axis=1)[:, :5]
    assert np.array_equal(ids, best) and mask.all()
    assert np.allclose(scores, np.take_along_axis(exact, best, 1), atol=1e-5)
    space = Exact.of(open_keys(vectors, kind), queries, 5, similarity)  # type: ignore[arg-type]
    assert [recall_at(k, ids, queries, space) for k in (1, 5)] == [1, 1]
    others = Exact.of(open_keys(vectors, "unit"), queries, 5, "inner_product")
    assert (recall_at(5, ids, queries, others) == 1) == (
        kind == "unit"
    )  # lengths change what is best


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_a_share_of_the_pictures_is_searched_as_if_there_were_no_others(
    tmp_path: Path, factory: str
) -> None:
    keys, queries = unit_vectors(500), unit_vectors(60, seed=1).astype(np.float32)
    vectors = write_vectors(tmp_path, keys)
    index = write_index(tmp_path, vectors, factory, 8, pictures_fraction=0.3)
    searcher = Searcher(vectors, index)
    drawn = drawn_pictures(500, 0.3, seed=1)
    assert searcher.pictures == len(drawn) and searcher.table_rows == 500
    exact = queries.astype(np.float64) @ keys[drawn].astype(np.float64).T
    ids, _, mask = searcher.search(queries, 5)
    assert np.array_equal(ids, drawn[np.argsort(-exact, axis=1)[:, :5]]) and mask.all()
    part = Exact.of(open_keys(vectors, "unit", 0.3, 1), queries, 5, "inner_product")
    whole = Exact.of(open_keys(vectors), queries, 5, "inner_product")
    assert recall_at(5, ids, queries, part) == 1
    assert recall_at(5, ids, queries, whole) < 0.5


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_excluded_pictures_are_not_found_and_k_others_are(tmp_path: Path, factory: str) -> None:
    """Query i may not find its i best pictures: it finds those behind them."""
    vectors = write_vectors(tmp_path, unit_vectors(300))
    searcher = Searcher(vectors, write_index(tmp_path, vectors, factory, nprobe=8))
    queries = unit_vectors(20, seed=1).astype(np.float32)
    queries[7] = queries[6]  # equal queries that exclude others
    best, all_scores, _ = searcher.search(queries, 23)
    query, place = np.nonzero(np.arange(23) < np.arange(20)[:, np.newaxis])
    mixed = np.random.default_rng(2).permutation(len(query))
    excluded = Excluded(query[mixed], best[query, place][mixed].astype(np.int64))
    ids, scores, mask = searcher.search(queries, 4, excluded=excluded)
    assert mask.all()
    assert ids.tolist() == [best[i, i : i + 4].tolist() for i in range(20)]
    assert np.allclose(scores, [all_scores[i, i : i + 4] for i in range(20)], atol=1e-6)


def test_where_all_but_a_few_are_excluded_the_mask_says_so(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(6))
    searcher = Searcher(vectors, write_index(tmp_path, vectors))
    queries = unit_vectors(2, seed=1).astype(np.float32)
    excluded = Excluded(np.zeros(5, int), np.array([0, 1, 3, 4, 5]))
    ids, scores, mask = searcher.search(queries, 4, excluded=excluded)
    assert ids[0].tolist() == [2, -1, -1, -1] and mask[0].tolist() == [True, False, False, False]
    assert scores[0, 1:].tolist() == [0, 0, 0] and mask[1].all()


@pytest.mark.parametrize(("factory", "nprobe"), [("Flat", 1), ("IVF3,Flat", 1)])
def test_where_nothing_is_found_the_mask_says_so(tmp_path: Path, factory: str, nprobe: int) -> None:
    """Fewer pictures than K, and a list that holds fewer than K."""
    vectors = write_vectors(tmp_path, unit_vectors(3))
    searcher = Searcher(vectors, write_index(tmp_path, vectors, factory, nprobe))
    ids, scores, mask = searcher.search(unit_vectors(5, seed=1).astype(np.float32), 8)
    found = 3 if factory == "Flat" else 1
    assert (mask.sum(axis=1) == found).all() and mask[:, :found].all()
    assert (ids[mask] >= 0).all() and (ids[~mask] == -1).all() and (scores[~mask] == 0).all()


@pytest.mark.parametrize("similarity", ["inner_product", "l2"])
def test_what_is_less_similar_than_the_threshold_is_not_found(
    tmp_path: Path, similarity: str
) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(200))
    queries = unit_vectors(20, seed=1).astype(np.float32)
    every = Searcher(vectors, write_index(tmp_path / "all", vectors, similarity=similarity))
    ids, scores, _ = every.search(queries, 6)
    least = float(np.median(scores))
    some = write_index(tmp_path / "some", vectors, similarity=similarity, minimum_score=least)
    kept, kept_scores, mask = Searcher(vectors, some).search(queries, 6)
    assert np.array_equal(mask, scores >= np.float32(least)) and 0 < mask.mean() < 1
    assert np.array_equal(kept, np.where(mask, ids, -1))
    assert np.array_equal(kept_scores, np.where(mask, scores, 0))


def test_best_scores_are_those_of_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valm.retrieve.recall.BLOCK_ROWS", 7)
    keys, queries = unit_vectors(50), unit_vectors(9, seed=1).astype(np.float32)
    norms = np.linspace(0.5, 3, 50).astype(np.float32)
    for scale in (None, norms):
        table = keys.astype(np.float64) * (1 if scale is None else scale[:, np.newaxis])
        products = queries.astype(np.float64) @ table.T
        for similarity, wanted in {
            "inner_product": products,
            "l2": products - (table**2).sum(axis=1) / 2,
        }.items():
            exact = Exact.of(PictureKeys(keys, scale), queries, 8, similarity)
            assert np.allclose(exact.best, -np.sort(-wanted, axis=1)[:, :8], atol=1e-6)
    assert Exact.of(PictureKeys(keys), queries, 80, "inner_product").best.shape == (9, 50)


def test_recall_in_closed_form() -> None:
    """Keys are the axes, so a query's components are its scores."""
    keys = np.eye(6, dtype=np.float16)
    queries = np.array([[6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]], np.float32) / 10
    exact = Exact.of(PictureKeys(keys), queries, 4, "inner_product")
    ids = np.array([[0, 2, 5, -1], [5, 4, 3, 2]], np.int32)
    assert recall_at(1, ids, queries, exact) == 1.0
    assert recall_at(2, ids, queries, exact) == (1 + 2) / 4
    assert recall_at(4, ids, queries, exact) == (2 + 4) / 8


def test_any_of_the_pictures_that_tie_counts() -> None:
    keys = np.ones((4, 1), np.float16)
    queries = np.ones((1, 1), np.float32)
    exact = Exact.of(PictureKeys(keys), queries, 2, "inner_product")
    assert recall_at(2, np.array([[3, 1]], np.int32), queries, exact) == 1.0
    assert recall_at(9, np.array([[3, 1]], np.int32), queries, exact) == 1.0
