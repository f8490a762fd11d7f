"""How retrieval grows: 1, 10 and 100 times the vectors, and 1, 10 and 100 times the tokens.

Every measurement is a fresh process, and they take turns by size. Vectors are random; the reader of the
tokens is a stand-in that costs next to nothing, so that what is measured is everything around the
text tower (whose speed ``encode_queries.py`` measures). Four things grow:

* ``build_flat``, ``build_ivf_pq``: an index of so many vectors, written to disk; k-means sees a sample of one size;
* ``search_flat``, ``search_ivf_pq``: a fixed number of queries in it; as many vectors a list at each size, so a
  hundred times the vectors are a hundred times the lists, of which a fixed number is probed;
* ``neighbours``: the table of so many tokens, in a fixed index.

Prints one JSON line: for each the medians of processor seconds and the peak memory by size, the time of a
unit at 100x over that at 1x (1: linear in what grows), and peak memory at 100x less that at 1x. With
``--scan`` it prints instead what one query costs at the published index: 46,875 codes of PQ64x8 scanned.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, QUERIES, TOP_K = 64, 2_000, 4
VECTORS, TOKENS = 2_000, 10_000  # at 1x
VECTORS_A_LIST, NPROBE = 125, 4
SIZES = (1, 10, 100)
MIB = 1 << 20
SCAN = {"width": 768, "vectors": 100_000, "lists": 64, "nprobe": 30, "queries": 200}


class StandIn:
    """A reader that costs next to nothing: a token's state is its id's random vector."""

    key_width, value_width, context_tokens = WIDTH, 1, 64

    def __init__(self) -> None:
        import torch

        table = torch.randn(1 << 16, WIDTH, generator=torch.Generator().manual_seed(1))
        self._table = torch.nn.functional.normalize(table, dim=-1)

    def encode_tokens(self, ids: Any) -> Any:
        from valm.embed.encoder import TokenStates

        return TokenStates(self._table[ids], ids[..., None].float())


def job(verb: str, section: dict[str, Any]) -> Any:
    from valm.core.job import Job

    return Job(verb, {"seed": 1, **section}, "")


def write_vectors(folder: Path, count: int, width: int = WIDTH) -> Path:
    """Random unit keys, block by block, as ``embed-pictures`` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, width)
    keys = np.lib.format.open_memmap(folder / "keys.npy", "w+", np.dtype("float16"), shape)
    for first in range(0, count, 10_000):
        block = np.random.default_rng([7, first]).standard_normal(
            (min(10_000, count - first), width)
        )
        keys[first : first + 10_000] = block / np.linalg.norm(block, axis=1, keepdims=True)
    keys.flush()
    manifest = folder / "vectors.manifest.json"
    job("embed-pictures", {}).finish(manifest, kind="vectors", rows=count, files=[])
    return manifest


def write_tokens(folder: Path, count: int) -> Path:
    """A stream of random ids in documents of 1 to 120 tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(count)
    draw.zipf(1.3, count).clip(max=65_535).astype("<u2").tofile(folder / "train.bin")
    ends = np.cumsum(draw.integers(1, 120, count))
    documents = np.array([0, *ends[ends < count], count])
    np.save(folder / "train.documents.npy", documents)
    np.save(folder / "train.sources.npy", np.zeros(len(documents) - 1, np.uint8))
    np.save(folder / "train.came_with.npy", np.zeros((2, 0), np.int64))
    manifest = folder / "tokens.manifest.json"
    facts = {"dtype": "uint16", "sources": ["random"]}
    job("write-tokens", {}).finish(manifest, kind="tokens", rows=count, files=[], facts=facts)
    return manifest


def entry(stage: str, vectors: int) -> dict[str, Any]:
    """The index of a stage."""
    if stage.endswith("flat") or stage == "neighbours":
        return {"name": "measured", "factory": "Flat"}
    lists = max(1, vectors // VECTORS_A_LIST)
    # A coarse quantiser of its own, as autofaiss uses for many lists: finding the lists stays cheap.
    factory = f"IVF{lists}_HNSW16,PQ16x8" if lists > 1_000 else f"IVF{lists},PQ16x8"
    sample = max(VECTORS, lists)
    return {"name": "measured", "factory": factory, "nprobe": NPROBE, "training_vectors": sample}


def index_of(stage: str, vectors: Path, count: int, folder: Path) -> Path:
    from valm.retrieve.index import build_index

    manifest = folder / "measured.manifest.json"
    made = job("build-index", {"retrieve.indices": [entry(stage, count)]})
    build_index(made, vectors=vectors, index="measured", output=manifest)
    return manifest


def run(stage: str, size: int, folder: Path) -> float:
    """Prepare a stage at a size, then do it; the processor seconds of doing it."""
    from valm.embed import encoder  # noqa: F401  its libraries are loaded before anything is timed
    from valm.retrieve import neighbours
    from valm.retrieve.index import Searcher

    count = VECTORS if stage == "neighbours" else VECTORS * size
    vectors = write_vectors(folder / "vectors", count)
    if stage.startswith("build"):
        start = time.process_time()
        index_of(stage, vectors, count, folder)
        return time.process_time() - start
    index = index_of(stage, vectors, count, folder)
    if stage.startswith("search"):
        queries = np.random.default_rng(3).standard_normal((QUERIES, WIDTH)).astype(np.float32)
        searcher = Searcher(vectors, index)
        start = time.process_time()
        searcher.search(queries, TOP_K)
        return time.process_time() - start
    tokens, reader = (
        write_tokens(folder / "tokens", TOKENS * size),
        folder / "encoder.manifest.json",
    )
    job("make-encoder", {}).finish(reader, kind="encoder", rows=0, files=[])
    neighbours.load_encoder = lambda manifest: StandIn()  # type: ignore[attr-defined]
    preset = {"name": "measured", "index": "measured"}
    found = job("find-neighbours", {"retrieve.presets": [preset], "retrieve.top_k": TOP_K})
    start = time.process_time()
    neighbours.find_neighbours(
        found, split="train", tokens=tokens, encoder=reader, vectors=vectors, index=index,
        output=folder / "train.manifest.json",
    )  # fmt: skip
    return time.process_time() - start


def scan(folder: Path) -> dict[str, Any]:
    """Milliseconds of a query that scans as many codes as one of the published index does."""
    import faiss

    from valm.config.retrieve import Index
    from valm.retrieve.factory import make_index
    from valm.retrieve.keys import open_keys

    faiss.omp_set_num_threads(1)
    vectors = write_vectors(folder, SCAN["vectors"], SCAN["width"])
    settings = Index(
        name="scan", factory=f"IVF{SCAN['lists']},PQ64x8", nprobe=SCAN["nprobe"],
        training_vectors=5_000,
    )  # fmt: skip
    index = make_index(settings, open_keys(vectors), 1)
    queries = np.random.default_rng(3).standard_normal((SCAN["queries"], SCAN["width"]))
    queries = queries.astype(np.float32)
    coarse = faiss.IndexFlatIP(SCAN["width"])
    coarse.add(np.random.default_rng(4).standard_normal((16_384, SCAN["width"])).astype("float32"))
    taken: dict[str, list[float]] = {"scan": [], "coarse": []}
    for _ in range(3):
        for name, searched, depth in (("scan", index, TOP_K), ("coarse", coarse, 32)):
            start = time.process_time()
            searched.search(queries, depth)  # type: ignore[arg-type]
            taken[name].append(1e3 * (time.process_time() - start) / len(queries))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    return {
        "setting": SCAN,
        "codes_a_query": round(SCAN["vectors"] * SCAN["nprobe"] / SCAN["lists"]),
        "processor_milliseconds_of_scanning": round(medians["scan"], 2),
        "processor_milliseconds_of_131072_lists": round(medians["coarse"] * 131_072 / 16_384, 2),
    }


STAGES = ("build_flat", "build_ivf_pq", "search_flat", "search_ivf_pq", "neighbours")


def contestant(stage: str, size: int, line: Connection) -> None:
    """A process: one stage at one size; its processor seconds and peak memory go out."""
    import faiss
    import torch

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VALM_WORK"] = f"{folder}/work"
        taken = run(stage, size, Path(folder))
        line.send((taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measure(stage: str, rounds: int) -> dict[str, Any]:
    """Medians of a stage by size."""
    spawn = multiprocessing.get_context("spawn")
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    peaks: dict[int, list[float]] = {size: [] for size in SIZES}
    for turn in range(rounds):
        for size in SIZES if turn % 2 == 0 else SIZES[::-1]:
            near_end, far_end = spawn.Pipe()
            process = spawn.Process(target=contestant, args=(stage, size, far_end))
            process.start()
            far_end.close()
            taken, peak = near_end.recv()
            process.join()
            seconds[size].append(taken)
            peaks[size].append(peak)
    wall = {size: statistics.median(times) for size, times in seconds.items()}
    memory = {size: statistics.median(each) for size, each in peaks.items()}
    first, last = SIZES[0], SIZES[-1]
    return {
        "processor_seconds": {f"{size}x": round(s, 3) for size, s in wall.items()},
        "peak_mib": {f"{size}x": round(m) for size, m in memory.items()},
        "time_of_a_unit_at_100x": round(wall[last] / last / (wall[first] / first), 2),
        "time_of_a_unit_at_100x_over_10x": round(wall[last] / 10 / wall[10], 2),
        "more_mib_at_100x": round(memory[last] - memory[first]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scan", action="store_true", help="one query of the published index")
    options = parser.parse_args()
    if options.scan:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(scan(Path(folder))))
        return
    at_1x = {"vectors": VECTORS, "width": WIDTH, "queries": QUERIES, "tokens": TOKENS}
    found = {stage: measure(stage, options.rounds) for stage in options.only}
    print(json.dumps({"at_1x": at_1x, "rounds": options.rounds, "stages": found}))


if __name__ == "__main__":
    main()
