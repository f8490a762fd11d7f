"""An index that is built by parts, by the commands that docs/scaling.md gives, is the one built whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.pictures import drawn_list
from builders.retrieval import unit_vectors, write_vectors
from typer.testing import CliRunner

from valm.cli.main import app
from valm.core.job import Job
from valm.core.manifest import read_manifest, verify_files
from valm.errors import ConfigError, InputError, IntegrityError
from valm.ingest.pictures.retraction import list_retracted
from valm.retrieve.index import Searcher

PARTS = 3


def build(vectors: Path, output: Path, *more: str, **entry: Any) -> Path:
    """``valm build-index``; the manifest, whether or not it is there yet."""
    entry = {"name": "big", "factory": "IVF8,PQ4x4", "nprobe": 3, "training_vectors": 300} | entry
    section = json.dumps({"retrieve.indices": [entry], "seed": 1})
    manifest = output / "big.manifest.json"
    command = ["build-index", "--vectors", str(vectors), "--index", "big", "--section", section,
               "--output", str(manifest), *more]  # fmt: skip
    run = CliRunner().invoke(app, command)
    if run.exception is not None:
        raise run.exception
    return manifest


def build_by_parts(vectors: Path, output: Path, order: list[int], *more: str, **entry: Any) -> Path:
    for number in order:
        assert not (output / "big.manifest.json").exists()
        manifest = build(vectors, output, "--part", f"{number}/{PARTS}", *more, **entry)
    return manifest


@pytest.mark.parametrize("factory", ["IVF8,PQ4x4", "IVF8_HNSW4,Flat", "OPQ4,IVF8,PQ4x4"])
def test_parts_find_what_the_whole_finds(tmp_path: Path, factory: str) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(601))
    file = tmp_path / "retracted.tsv"
    file.write_text("drawn\tdrawing 7\n", encoding="utf-8")
    retracted = tmp_path / "retracted.manifest.json"
    pictures = drawn_list(tmp_path / "names", 9)
    list_retracted(Job("list-retracted", {}, ""), pictures=pictures, file=file, output=retracted)
    without = ["--retracted", str(retracted)]
    queries = unit_vectors(50, seed=1).astype(np.float32)
    for more in ([], without):
        whole = build(vectors, tmp_path / f"whole{len(more)}", *more, factory=factory)
        folder = tmp_path / f"parts{len(more)}"
        made = build_by_parts(vectors, folder, [1, 3, 2], *more, factory=factory)
        facts = {**read_manifest(made).facts, "bytes_per_vector": None}
        assert facts == {**read_manifest(whole).facts, "bytes_per_vector": None}
        assert verify_files(made).rows == verify_files(whole).rows == 601 - len(more) // 2
        wanted, found = (Searcher(vectors, each).search(queries, 5) for each in (whole, made))
        assert np.array_equal(wanted[0], found[0]) and np.allclose(wanted[1], found[1])
        assert not more or 7 not in found[0]


def test_parts_in_any_order_and_folder_are_the_same_bytes(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(601))
    once = build_by_parts(vectors, tmp_path / "a", [1, 2, 3])
    again = build_by_parts(vectors, tmp_path / "b", [1, 3, 2])
    for name in ("big.faiss", "big.ivfdata", "big.manifest.json"):
        assert once.with_name(name).read_bytes() == again.with_name(name).read_bytes(), name
    queries = unit_vectors(50, seed=1).astype(np.float32)
    before = Searcher(vectors, once).search(queries, 5)[0]
    shutil.rmtree(tmp_path / "a/big.parts")
    moved = (tmp_path / "a").rename(tmp_path / "elsewhere") / once.name
    assert np.array_equal(Searcher(vectors, moved).search(queries, 5)[0], before)


def test_the_first_part_trains_and_what_is_finished_is_not_made_again(tmp_path: Path) -> None:
    vectors, output = write_vectors(tmp_path, unit_vectors(601)), tmp_path / "out"
    with pytest.raises(InputError, match=r"not been trained yet.*run --part 1/3 first"):
        build(vectors, output, "--part", "2/3")
    build(vectors, output, "--part", "1/3")
    build(vectors, output, "--part", "2/3")
    parts = sorted((output / "big.parts").glob("*.faiss"))
    assert [path.name for path in parts] == [
        "00001_of_00003.faiss", "00002_of_00003.faiss", "trained.faiss",
    ]  # fmt: skip
    before = [path.stat().st_mtime_ns for path in parts]
    for number in ("1/3", "2/3", "3/3"):
        build(vectors, output, "--part", number)
    assert [path.stat().st_mtime_ns for path in parts] == before
    with pytest.raises(InputError, match="not been trained yet"):  # with these settings
        build(vectors, output, "--part", "2/3", factory="IVF4,PQ4x4")


def test_a_damaged_part_is_found_before_it_is_joined(tmp_path: Path) -> None:
    vectors, output = write_vectors(tmp_path, unit_vectors(601)), tmp_path / "out"
    for number in (1, 2):
        build(vectors, output, "--part", f"{number}/3")
    damaged = output / "big.parts/00002_of_00003.faiss"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"00002_of_00003\.faiss"):
        build(vectors, output, "--part", "3/3")
    assert not (output / "big.manifest.json").exists()


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "a/b"])
def test_what_is_no_part_is_refused(tmp_path: Path, part: str) -> None:
    with pytest.raises(ConfigError, match="is no part"):
        build(write_vectors(tmp_path, unit_vectors(40)), tmp_path, "--part", part)


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF4,PQ4x4,RFlat", "IVF4,PQ4x4fs"])
def test_an_index_that_is_more_than_lists_has_no_parts(tmp_path: Path, factory: str) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(40))
    refused = r"does not keep its vectors in plain inverted lists.*without --part"
    with pytest.raises(ConfigError, match=refused):
        build(vectors, tmp_path, "--part", "1/1", factory=factory)
    assert not (tmp_path / "big.parts").exists()
