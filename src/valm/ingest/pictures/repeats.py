"""Which pictures repeat an earlier one, without comparing each with all others, and without missing one.

Hashes that differ in at most d bits are equal in at least one of any d + 1 parts of their bits (pigeonhole
principle). So there is a table for each part, sorted by the part's bits, then by a grid of mean colours; what
is near a picture stands in a few runs of each table, and every candidate is compared in full.

Each kept picture asks once. A picture costs 11 bytes and 16 in each table, about twice that while tables are sorted,
and time grows as sorting does, unless far more pictures share a part and a colour than are near one another:
few bits keep the parts long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.config.ingest import Duplicates

HASH_BITS = 64
BLOCK_ROWS = 256
# Bounds the memory of comparing, in pairs.
BLOCK_PAIRS = 1 << 20

Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Likeness:
    """When two pictures count as one.

    Attributes:
        hashes: uint64 [n], difference hashes.
        colours: uint8 [n, 3], mean colours.
        limits: Largest distances of duplicates.
    """

    hashes: NDArray[np.uint64]
    colours: NDArray[np.uint8]
    limits: Duplicates

    def __call__(self, some: Rows, others: Rows) -> NDArray[np.bool_]:
        """Whether pictures are near others, by their rows, which are broadcast against each other."""
        bits = np.bitwise_count(self.hashes[some] ^ self.hashes[others])
        shift = np.abs(self.colours[some].astype(np.int16) - self.colours[others])
        alike: NDArray[np.bool_] = (bits <= self.limits.distance_bits) & (
            shift.max(axis=-1) <= self.limits.colour_distance
        )
        return alike


def repeated_rows(near: Likeness) -> NDArray[np.int64]:
    """The earliest kept row that each row is near; a row that is near none is kept, and names itself.

    Kept rows mark what comes after them, block by block, so a row that is reached unmarked is near no
    row kept so far but those of its own block.
    """
    count = len(near.hashes)
    tables = [_Table.of(near, part) for part in range(near.limits.distance_bits + 1)]
    repeated = np.full(count, count)
    for first in range(0, count, BLOCK_ROWS):
        rows = first + np.flatnonzero(repeated[first : first + BLOCK_ROWS] == count)
        among = near(rows[:, np.newaxis], rows)
        for place in np.flatnonzero(among.sum(axis=1) > 1):
            if repeated[rows[place]] == count:
                alike = rows[among[place]]
                repeated[alike] = np.minimum(repeated[alike], rows[place])
        kept = rows[repeated[rows] >= rows]
        for table in tables:
            for some, others in table.candidates(kept):
                alike = near(some, others)
                np.minimum.at(repeated, others[alike], some[alike])
    return repeated


@dataclass(frozen=True)
class _Table:
    """All pictures, sorted by some bits of their hashes and by their colours.

    Red and green stand in cells, each twice the reach of a search wide, so that what is in reach lies
    in two cells of each; blue stands as it is, so that what is in reach is a run.

    Attributes:
        reach: ``colour_distance``.
        colours: uint8 [n, 3].
        bits: int32 [n], the rank of each row's bits among all that there are.
        keys: int64 [n], ascending: rank of the bits, cell of red, cell of green, blue.
        order: int32 [n], the rows in that order.
    """

    reach: int
    colours: NDArray[np.uint8]
    bits: NDArray[np.int32]
    keys: NDArray[np.int64]
    order: NDArray[np.int32]

    @classmethod
    def of(cls, near: Likeness, part: int) -> _Table:
        # Every (d + 1)th bit: neighbouring bits agree where a picture is plain, as most skies are.
        mask = sum(1 << bit for bit in range(part, HASH_BITS, near.limits.distance_bits + 1))
        _, bits = np.unique(near.hashes & np.uint64(mask), return_inverse=True)
        reach = near.limits.colour_distance
        keys = _key(bits, near.colours.astype(np.int64), reach)
        order = np.argsort(keys)
        return cls(reach, near.colours, bits.astype(np.int32), keys[order], order.astype(np.int32))

    def candidates(self, rows: NDArray[np.int64]) -> Iterator[tuple[Rows, Rows]]:
        """Pairs of one of the rows and any row that shares these bits and may be near in colour."""
        for red in {-self.reach, self.reach}:
            for green in {-self.reach, self.reach}:
                low, high = (
                    _key(self.bits[rows], self.colours[rows] + np.array([red, green, blue]), self.reach)
                    for blue in (-self.reach, self.reach)
                )  # fmt: skip
                starts = np.searchsorted(self.keys, low)
                stops = np.searchsorted(self.keys, high, side="right")
                for some, places in _pairs(starts, stops):
                    yield rows[some], self.order[places]


def _key(
    bits: NDArray[np.integer[Any]], colours: NDArray[np.int64], reach: int
) -> NDArray[np.int64]:
    """Keys of a table, int64 [n], for ranks [n] and colours [n, 3], which are cut to 0..255."""
    red, green, blue = np.clip(colours, 0, 255).T
    side = 2 * reach + 1
    keys: NDArray[np.int64] = (
        (bits.astype(np.int64) << 24) | (red // side << 16) | (green // side << 8) | blue
    )
    return keys


def _pairs(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Every place in each of some runs, with the run's number, about ``BLOCK_PAIRS`` at a time."""
    lengths = stops - starts
    ends = np.cumsum(lengths)
    first = 0
    while first < len(ends):
        done = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, done + BLOCK_PAIRS, side="right")))
        runs = np.repeat(np.arange(first, last), lengths[first:last])
        places = np.arange(len(runs)) + done - (ends - lengths)[runs] + starts[runs]
        yield runs, places
        first = last
