"""Neighbour tables: after kill -9 the run goes on, and ends in the bits of an undisturbed one."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from builders.encoders import FakeEncoder, TowerEncoder
from builders.retrieval import (
    PRESET,
    random_documents,
    retrieve_job,
    unit_vectors,
    write_encoder,
    write_index,
    write_stream,
    write_vectors,
)

from valm.config.models import Variant
from valm.config.retrieve import Query
from valm.embed.encoder import Encoder
from valm.retrieve import neighbours
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import Neighbours, find_neighbours, look_up
from valm.retrieve.showable import Showable
from valm.train.inputs import open_given

# Runs as a process of its own, which stops for good before the block that its argument names.
RUN = """
import sys, time
from pathlib import Path
import test_neighbours
from builders.encoders import FakeEncoder

class Stopping(FakeEncoder):
    def encode_tokens(self, ids):
        if len(list(Path().glob("work/*/*/rows_done.json"))):
            print("one block done", flush=True)
            time.sleep(60)
        return super().encode_tokens(ids)

test_neighbours.run(Path(), Stopping())
"""
FOUND_IN = ("vectors/vectors", "indices/exact")
DOCUMENTS = random_documents(80, longest=100)


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(
    folder: Path,
    encoder: Encoder,
    pictures: int = 90,
    factory: str = "Flat",
    block: int = 500,
    came_with: Sequence[tuple[int, int]] = (),
    **preset: bool,
) -> Path:
    """Find the neighbours of a small stream in small blocks."""
    patched = pytest.MonkeyPatch()
    patched.setattr(neighbours, "load_encoder", lambda manifest: encoder)
    patched.setattr(neighbours, "BLOCK_TOKENS", block)
    vectors = write_vectors(folder / "vectors", unit_vectors(pictures, encoder.key_width))
    output = folder / "neighbours" / "train.manifest.json"
    find_neighbours(
        retrieve_job("find-neighbours", presets=[{"name": PRESET} | preset]),
        split="train",
        tokens=write_stream(folder / "tokens", DOCUMENTS, came_with),
        encoder=write_encoder(folder / "encoder"),
        vectors=vectors,
        index=write_index(folder / "indices", vectors, factory, nprobe=2),
        output=output,
    )
    patched.undo()
    return output


def test_killed_and_run_again_gives_the_same_bits(tmp_path: Path) -> None:
    folders = [str(folder) for folder in Path(__file__).parents[:2]]
    path = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    killed = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, env=environment)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"one block done\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()

    undisturbed, rest = FakeEncoder(), FakeEncoder()
    resumed = run(tmp_path, rest)
    whole = run(tmp_path / "elsewhere", undisturbed)
    assert 0 < rest.windows < undisturbed.windows
    assert resumed.read_bytes() == whole.read_bytes()
    for name in neighbours.COLUMNS:
        file = f"train.{name}.npy"
        assert resumed.with_name(file).read_bytes() == whole.with_name(file).read_bytes()


@pytest.mark.parametrize("factory", ["Flat", "IVF4,PQ4x4"])
def test_every_number_of_threads_and_every_cut_into_blocks_gives_the_same_bits(
    tmp_path: Path, factory: str
) -> None:
    def tables(threads: int, block: int) -> list[bytes]:
        torch.set_num_threads(threads)
        faiss.omp_set_num_threads(threads)
        output = run(tmp_path / f"{threads}_{block}", TowerEncoder(), factory=factory, block=block)
        return [
            output.with_name(f"train.{name}.npy").read_bytes() for name in neighbours.COLUMNS
        ] + [output.read_bytes()]

    before = torch.get_num_threads()
    try:
        first, *others = [
            tables(*way) for way in [(1, 500), (2, 500), (3, 500), (1, 77), (2, 9999)]
        ]
    finally:
        torch.set_num_threads(before)
        faiss.omp_set_num_threads(before)
    assert all(other == first for other in others)


def test_tables_hold_what_a_search_of_each_text_finds(tmp_path: Path) -> None:
    """Which is also that prompts get the pictures that they would get inside a stream."""
    found = Neighbours.open(run(tmp_path, FakeEncoder()))
    searcher = Searcher(*(tmp_path / f"{name}.manifest.json" for name in FOUND_IN))
    assert look_up([], FakeEncoder(), searcher, Query(), top_k=4) == []
    texts = look_up([*DOCUMENTS, []], FakeEncoder(), searcher, Query(), top_k=4)
    assert [len(text.ids) for text in texts] == [*map(len, DOCUMENTS), 0]
    assert np.array_equal(found.ids, np.concatenate([text.ids for text in texts]))
    assert np.allclose(found.scores, np.concatenate([text.scores for text in texts]), atol=1e-3)
    assert found.mask.all() and found.ids.max() < 90
    assert (found.ids.dtype, found.scores.dtype, found.values.dtype) == (
        np.int32, np.float16, np.float16,
    )  # fmt: skip


def test_fewer_pictures_than_k(tmp_path: Path) -> None:
    found = Neighbours.open(run(tmp_path, FakeEncoder(), pictures=3))
    assert found.mask[:, :3].all() and not found.mask[:, 3].any()
    assert (found.ids[:, 3] == -1).all()


def test_a_document_finds_none_of_the_pictures_that_it_came_with(tmp_path: Path) -> None:
    """It finds the next ones instead; tokens of other documents find what they found, bit for bit."""
    free = Neighbours.open(run(tmp_path / "free", FakeEncoder()))
    starts = np.cumsum([0, *map(len, DOCUMENTS)])
    own = {d: np.unique(free.ids[starts[d]])[: 1 + d % 4].tolist() for d in range(0, 80, 3)}
    pairs = [(d, picture) for d, pictures in own.items() for picture in pictures]
    kept = Neighbours.open(run(tmp_path / "kept", FakeEncoder(), came_with=pairs))
    searcher = Searcher(*(tmp_path / "free" / f"{n}.manifest.json" for n in FOUND_IN))
    wide = look_up(DOCUMENTS, FakeEncoder(), searcher, Query(), top_k=8)
    for d, (first, last) in enumerate(pairwise(starts)):
        if d not in own:
            assert kept.ids[first:last].tobytes() == free.ids[first:last].tobytes()
            assert kept.scores[first:last].tobytes() == free.scores[first:last].tobytes()
            continue
        for row, found in zip(kept.ids[first:last], wide[d].ids, strict=True):
            assert row.tolist() == [picture for picture in found if picture not in own[d]][:4]
    assert kept.mask.all()
    off = run(tmp_path / "off", FakeEncoder(), came_with=pairs, exclude_same_document=False)
    assert np.array_equal(Neighbours.open(off).ids, free.ids)
    alone = look_up(DOCUMENTS, FakeEncoder(), searcher, Query(), 4, came_with=own)
    assert np.array_equal(np.concatenate([text.ids for text in alone]), kept.ids)


def test_work_is_forgotten_once_it_is_finished(tmp_path: Path) -> None:
    run(tmp_path, FakeEncoder())
    assert not list(tmp_path.glob("work/**/*.npy"))


def test_without_text_states_the_tables_are_the_same_and_hold_none(tmp_path: Path) -> None:
    whole = Neighbours.open(run(tmp_path / "whole", FakeEncoder()))
    manifest = run(tmp_path / "lean", FakeEncoder(), text_states=False)
    lean = Neighbours.open(manifest)
    assert np.array_equal(lean.ids, whole.ids) and np.array_equal(lean.mask, whole.mask)
    assert lean.values.shape == (len(whole.ids), 0)
    valm = Variant(name="valm", pictures="retrieved")
    given = open_given(manifest, "train", valm, Showable(90), seed=1)
    assert given.ids is not None and np.array_equal(given.ids, whole.ids)
