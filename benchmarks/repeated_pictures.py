"""Finding repeated pictures: what ``list-pictures`` does, beside comparing each picture with all that are kept.

Every measurement is a fresh process, and the two sides take turns, at 1, 10 and 100 times the pictures; at 1,000
times only ours is measured. Both get the same hashes and colours and must give the same ids. Two bases are
drawn, both with a third of their pictures near others: ``spread``, as the noise of photographs, and ``alike``,
bright pictures with an empty upper half, of which many share the bits that a table is sorted by.

Prints one JSON line: for each base and size the medians of processor seconds of both sides and their ratio,
peak memory, and the time of a picture at 100x over that at 10x (1: linear).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
import zlib
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

PICTURES = 400  # at 1x
SIZES = (1, 10, 100)
ALONE = 1_000  # times the pictures, for list-pictures alone
SIDES = ("list_pictures", "comparing_all")
BASES = ("spread", "alike")


def base(kind: str, count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Hashes [n] and mean colours [n, 3] of a base."""
    draw = np.random.default_rng([count, len(kind)])
    kept = count - count // 3
    hashes = draw.integers(0, 2**64, kept, dtype=np.uint64)
    darkest = 0
    if kind == "alike":
        hashes, darkest = hashes >> np.uint64(32), 200
    colours = draw.integers(darkest, 256, (kept, 3)).astype(np.uint8)
    repeats = draw.integers(0, kept, count // 3)
    flipped = np.uint64(1) << draw.integers(0, 32, count // 3).astype(np.uint64)
    order = draw.permutation(count)
    return (
        np.concatenate([hashes, hashes[repeats] ^ flipped])[order],
        np.concatenate([colours, colours[repeats]])[order],
    )


def comparing_all(
    hashes: NDArray[np.uint64], colours: NDArray[np.uint8], limits: Any
) -> NDArray[np.int32]:
    """Ids, each picture compared with every kept one before it."""
    ids = np.full(len(hashes), -1, np.int32)
    kept, wide = np.empty(len(hashes), np.int64), colours.astype(np.int16)
    count = 0
    for row in range(len(hashes)):
        earlier = kept[:count]
        near = np.bitwise_count(hashes[earlier] ^ hashes[row]) <= limits.distance_bits
        shift = np.abs(wide[earlier] - wide[row]).max(axis=1, initial=0)
        if not (near & (shift <= limits.colour_distance)).any():
            ids[row], kept[count] = count, row
            count += 1
    return ids


def contestant(side: str, kind: str, count: int, line: Connection) -> None:
    """A process: one side, once; processor seconds, peak memory and a digest of the ids go out."""
    from valm.config.ingest import Duplicates
    from valm.ingest.pictures.numbering import number_pictures

    hashes, colours = base(kind, count)
    start = time.process_time()
    if side == "comparing_all":
        ids = comparing_all(hashes, colours, Duplicates())
    else:
        ids, _ = number_pictures(hashes, colours, Duplicates())
    taken = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line.send((taken, peak, (zlib.crc32(ids.tobytes()), int(ids.max()) + 1)))


def measure(kind: str, size: int, rounds: int, sides: tuple[str, ...] = SIDES) -> dict[str, Any]:
    """The sides at one size, in turns."""
    spawn = multiprocessing.get_context("spawn")
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    peaks: dict[str, list[float]] = {side: [] for side in sides}
    found = set()
    for turn in range(rounds):
        for side in sides if turn % 2 == 0 else sides[::-1]:
            near_end, far_end = spawn.Pipe()
            process = spawn.Process(target=contestant, args=(side, kind, PICTURES * size, far_end))
            process.start()
            far_end.close()
            taken, peak, ids = near_end.recv()
            process.join()
            seconds[side].append(taken)
            peaks[side].append(peak)
            found.add(ids)
    if len(found) > 1:
        raise SystemExit(f"the sides differ: {found}")
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    compared = len(sides) > 1
    ratio = round(medians[sides[-1]] / medians[sides[0]], 2) if compared else None
    return {
        "kept": found.pop()[1],
        "ratio": ratio,
        "processor_seconds": {side: round(s, 3) for side, s in medians.items()},
        "peak_mib": {side: round(statistics.median(each)) for side, each in peaks.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    printed: dict[str, Any] = {"pictures_at_1x": PICTURES, "rounds": options.rounds}
    for kind in BASES:
        by_size = {size: measure(kind, size, options.rounds) for size in SIZES}
        each = {
            side: by_size[SIZES[-1]]["processor_seconds"][side]
            / (SIZES[-1] / SIZES[-2])
            / by_size[SIZES[-2]]["processor_seconds"][side]
            for side in SIDES
        }
        by_size[ALONE] = measure(kind, ALONE, options.rounds, SIDES[:1])
        printed[kind] = {f"{size}x": row for size, row in by_size.items()} | {
            "time_of_a_picture_at_100x_over_10x": {
                side: round(ratio, 2) for side, ratio in each.items()
            }
        }
    print(json.dumps(printed))


if __name__ == "__main__":
    main()
