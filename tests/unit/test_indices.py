"""Indices: equal bytes for equal work, clear refusals, nothing unverified is read."""

from pathlib import Path

import faiss
import numpy as np
import pytest
from builders.retrieval import unit_vectors, write_index, write_vectors

from valm.config.retrieve import Index
from valm.config.study import load_study
from valm.core.manifest import read_manifest
from valm.errors import ConfigError, InputError, IntegrityError
from valm.retrieve.factory import empty_index
from valm.retrieve.index import Searcher
from valm.retrieve.keys import drawn_pictures

ROOT = Path(__file__).parents[2]
PAPER = load_study([ROOT / "config.yaml", ROOT / "config/studies/paper.yaml"])


@pytest.mark.parametrize("factory", ["Flat", "IVF8,PQ4x6", "OPQ4,IVF8,PQ4x6"])
def test_the_same_keys_give_the_same_bytes(tmp_path: Path, factory: str) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(600))
    once, again = (write_index(tmp_path / name, vectors, factory) for name in "ab")
    assert once.read_bytes() == again.read_bytes()
    assert (tmp_path / "a/exact.faiss").read_bytes() == (tmp_path / "b/exact.faiss").read_bytes()


@pytest.mark.parametrize(("rows", "factory"), [(599, "Flat"), (600, "IVF4,PQ4x4")])
def test_below_a_size_the_index_is_exact(tmp_path: Path, rows: int, factory: str) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(rows))
    manifest = write_index(tmp_path, vectors, "IVF4,PQ4x4", nprobe=2, exact_below=600)
    facts = read_manifest(manifest).facts
    assert (facts["factory"], facts["nprobe"]) == (factory, None if factory == "Flat" else 2)
    queries = unit_vectors(20, seed=1).astype(np.float32)
    found, _, _ = Searcher(vectors, manifest).search(queries, 5)
    best = np.argsort(-queries @ unit_vectors(rows).astype(np.float32).T, axis=1)[:, :5]
    assert np.array_equal(found, best) == (factory == "Flat")


def test_the_size_is_that_of_what_the_index_holds(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(600))
    asked = {"factory": "IVF4,PQ4x4", "exact_below": 600, "pictures_fraction": 0.9}
    assert read_manifest(write_index(tmp_path, vectors, **asked)).facts["factory"] == "Flat"


@pytest.mark.parametrize(
    ("factory", "stored"), [("Flat", 64), ("PQ4x8", 4), ("IVF4,PQ8x8", 16), ("IVF4,Flat", 72)]
)
def test_bytes_of_a_vector_are_its_code_and_its_number_in_a_list(
    tmp_path: Path, factory: str, stored: int
) -> None:
    manifest = write_index(tmp_path, write_vectors(tmp_path, unit_vectors(600)), factory)
    assert read_manifest(manifest).facts["bytes_per_vector"] == stored


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("IVF64,Flat", r"64 inverted lists .* on 40 pictures .*factory\] -> use IVF1,Flat"),
        ("IVF8,PQ4x8", r"256 centroids .* on 40 pictures .* use IVF1,PQ4x5, or Flat"),
        ("PQ5x4", r"for keys of width 16 .* must divide 16: PQ4 would"),
        ("Flt", r"faiss cannot build 'Flt' .*retrieve\.indices\[exact\]\.factory"),
    ],
)
def test_what_the_keys_cannot_carry_is_refused_with_what_fits(
    tmp_path: Path, factory: str, message: str
) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(40))
    with pytest.raises(ConfigError, match=message):
        write_index(tmp_path, vectors, factory)
    assert not (tmp_path / "exact.manifest.json").exists()


def test_the_proposed_factory_string_can_be_built(tmp_path: Path) -> None:
    write_index(tmp_path, write_vectors(tmp_path, unit_vectors(40)), "IVF1,PQ4x5")


def test_k_means_sees_a_seeded_sample_and_the_index_holds_all(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(600))
    made = [
        write_index(tmp_path / name, vectors, "IVF8,Flat", 8, training_vectors=number)
        for name, number in {"a": 300, "b": 300, "whole": 600, "more": 10_000_000}.items()
    ]
    data = [manifest.with_name("exact.faiss").read_bytes() for manifest in made]
    assert data[0] == data[1] != data[2] == data[3]
    assert (
        data[2]
        == write_index(tmp_path / "c", vectors, "IVF8,Flat", 8)
        .with_name("exact.faiss")
        .read_bytes()
    )
    ids, _, mask = Searcher(vectors, made[0]).search(unit_vectors(5).astype("float32"), 600)
    assert mask.all() and (np.sort(ids, axis=1) == np.arange(600)).all()
    with pytest.raises(ConfigError, match=r"8 inverted lists cannot be trained on 5 pictures"):
        write_index(tmp_path / "d", vectors, "IVF8,Flat", training_vectors=5)


def test_raw_keys_need_as_many_norms_as_keys(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(40), np.ones(39, np.float32))
    write_index(tmp_path, vectors)
    with pytest.raises(IntegrityError, match=r"expected 40 norms, .* \(39,\) .*norms\.npy"):
        write_index(tmp_path, vectors, keys="raw")
    (tmp_path / "norms.npy").unlink()
    with pytest.raises(IntegrityError, match=r"missing .*norms\.npy.* run the study again"):
        write_index(tmp_path, vectors, keys="raw")


def test_a_share_of_the_pictures_is_drawn_by_each_ones_hash() -> None:
    shares = {share: drawn_pictures(20_000, share, seed=1) for share in (0.01, 0.5, 0.9, 1.0)}
    for share, drawn in shares.items():  # four standard deviations
        assert abs(len(drawn) - share * 20_000) <= 4 * (share * (1 - share) * 20_000) ** 0.5
        assert set(shares[0.01]) <= set(drawn)
    half = shares[0.5]
    assert np.array_equal(drawn_pictures(900, 0.5, seed=1), half[half < 900])
    other = drawn_pictures(20_000, 0.5, seed=2)
    assert abs(len(np.intersect1d(half, other)) - 5_000) < 300  # neither seed knows of the other


@pytest.mark.parametrize("index", PAPER.retrieve.indices, ids=lambda index: index.name)
def test_the_papers_index_is_what_its_factory_string_says(index: Index) -> None:
    """131,072 lists by inner product, residuals in 64 codes of 8 bits; nothing of it is trained here."""
    made = empty_index(index, 768)
    lists = faiss.downcast_index(made)
    assert (lists.nlist, lists.metric_type) == (131_072, faiss.METRIC_INNER_PRODUCT)
    assert (lists.pq.M, lists.pq.nbits, lists.pq.dsub, lists.by_residual) == (64, 8, 12, True)
    assert isinstance(faiss.downcast_index(lists.quantizer), faiss.IndexFlat)
    assert (index.nprobe, index.training_vectors) == (32, 10_000_000)


def test_an_index_of_other_vectors_is_refused(tmp_path: Path) -> None:
    index = write_index(tmp_path, write_vectors(tmp_path / "one", unit_vectors(40)))
    other = write_vectors(tmp_path / "other", unit_vectors(40, seed=1))
    with pytest.raises(IntegrityError, match="built from other vectors"):
        Searcher(other, index)


@pytest.mark.parametrize("factory", ["Flat", "IVF2,Flat"])
def test_keys_and_queries_that_are_no_numbers_are_refused(tmp_path: Path, factory: str) -> None:
    keys = unit_vectors(40)
    vectors = write_vectors(tmp_path / "good", keys)
    index = write_index(tmp_path / "good", vectors, factory)
    queries = unit_vectors(3, seed=1).astype(np.float32)
    queries[1, 2] = np.nan
    with pytest.raises(InputError, match="a query holds NaN"):
        Searcher(vectors, index).search(queries, 4)
    keys[7, 3] = np.inf
    with pytest.raises(InputError, match="1 picture keys hold NaN or infinity"):
        write_index(tmp_path / "bad", write_vectors(tmp_path / "bad", keys), factory)
    assert not (tmp_path / "bad/exact.faiss").exists()


def test_no_pictures_are_no_index(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no pictures to search"):
        write_index(tmp_path, write_vectors(tmp_path, unit_vectors(0)))


def test_a_damaged_index_is_not_handed_to_faiss(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(40))
    index = write_index(tmp_path, vectors)
    file = tmp_path / "exact.faiss"
    data = bytearray(file.read_bytes())
    data[8] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match="differs from its manifest"):
        Searcher(vectors, index)
