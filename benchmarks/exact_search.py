"""Exact search: faiss's Flat index, as a study searches it, beside torch's matmul and topk, block by block.

Both find the K best of the same random unit keys for the same queries, in blocks of as many queries, and they
take turns in one process. Prints one JSON line: medians of the processor's milliseconds a query and the ratio of torch's
to faiss's. Exits with 1 if they find other pictures than the same, but where two scores tie to float32's rounding.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import faiss
import numpy as np
import torch

from valm.retrieve.index import BLOCK_QUERIES

FAISS, TORCH = "faiss_flat", "torch_topk"
TIE = 1e-6


def unit(rows: int, width: int, seed: int) -> np.ndarray:
    """Random unit vectors, float32 [rows, width]."""
    vectors = np.random.default_rng(seed).standard_normal((rows, width), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--queries", type=int, default=4 * BLOCK_QUERIES)
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    keys, queries = unit(options.keys, options.width, 1), unit(options.queries, options.width, 2)
    index = faiss.IndexFlatIP(options.width)
    index.add(keys)
    table = torch.from_numpy(keys).T
    blocks = np.array_split(queries, -(-len(queries) // BLOCK_QUERIES))

    def by_faiss(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, ids = index.search(block, options.top_k)
        return scores, ids

    def by_torch(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, ids = (torch.from_numpy(block) @ table).topk(options.top_k)
        return scores.numpy(), ids.numpy()

    sides = {FAISS: by_faiss, TORCH: by_torch}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for turn in range(-1, options.rounds):  # the first is the warm-up
        for name in list(sides) if turn % 2 == 0 else list(sides)[::-1]:
            start = time.process_time()
            parts = [sides[name](block) for block in blocks]
            if turn >= 0:
                taken[name].append((time.process_time() - start) * 1000 / len(queries))
            found[name] = tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[assignment]
    medians = {name: statistics.median(times) for name, times in taken.items()}
    (scores, ids), (other_scores, other_ids) = found[FAISS], found[TORCH]
    equal = (ids == other_ids) | (np.abs(scores - other_scores) < TIE)
    print(
        json.dumps(
            {
                "setting": vars(options),
                "processor_milliseconds": {name: round(ms, 4) for name, ms in medians.items()},
                "ratio": round(medians[TORCH] / medians[FAISS], 2),
                "other_ids": int((ids != other_ids).sum()),
            }
        )
    )
    if not equal.all():
        sys.exit("the two sides disagree")


if __name__ == "__main__":
    main()
