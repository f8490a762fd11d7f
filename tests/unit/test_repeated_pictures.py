"""Repeated pictures: those that comparing each with all finds, with far fewer comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from valm.config.ingest import Duplicates
from valm.ingest.pictures.numbering import number_pictures
from valm.ingest.pictures.repeats import Likeness, repeated_rows

Base = tuple[NDArray[np.uint64], NDArray[np.uint8]]


def spread(count: int, seed: int) -> Base:
    """Hashes of which many are up to three bits from another, in a corner of the colours."""
    draw = np.random.default_rng(seed)
    hashes = draw.choice(draw.integers(0, 2**64, max(1, count // 3), dtype=np.uint64), count)
    for _ in range(3):
        flipped = np.uint64(1) << draw.integers(0, 64, count).astype(np.uint64)
        hashes ^= np.where(draw.random(count) < 0.4, flipped, np.uint64(0))
    return hashes, draw.integers(100, 140, (count, 3)).astype(np.uint8)


def one_hash(count: int, seed: int) -> Base:
    """Plain pictures of any colour: every table has one run of bits."""
    draw = np.random.default_rng(seed)
    return np.zeros(count, np.uint64), draw.integers(0, 256, (count, 3)).astype(np.uint8)


def ball(count: int, seed: int) -> Base:
    """Hashes of at most four set bits: most share the bits of a table, few are near."""
    draw = np.random.default_rng(seed)
    hashes = np.zeros(count, np.uint64)
    for _ in range(4):
        hashes |= np.uint64(1) << draw.integers(0, 64, count).astype(np.uint64)
    return hashes, draw.integers(120, 130, (count, 3)).astype(np.uint8)


def compared_with_all(base: Base, limits: Duplicates) -> tuple[list[int], list[int]]:
    """Ids and ids of the repeated pictures, each picture compared with every kept one before it."""
    ids, duplicate_of, kept = [], [], []
    for hash_, colour in zip(base[0].tolist(), base[1].astype(int), strict=True):
        near = (
            number
            for number, (other, of_other) in enumerate(kept)
            if (hash_ ^ other).bit_count() <= limits.distance_bits
            and np.abs(colour - of_other).max() <= limits.colour_distance
        )
        first = next(near, -1)
        ids.append(len(kept) if first < 0 else -1)
        duplicate_of.append(first)
        if first < 0:
            kept.append((hash_, colour))
    return ids, duplicate_of


@pytest.mark.parametrize("draw", [spread, one_hash, ball])
@pytest.mark.parametrize("bits, colour", [(2, 12), (0, 0), (1, 255), (5, 3), (63, 4), (64, 12)])
def test_ids_are_those_of_comparing_each_with_all(draw: object, bits: int, colour: int) -> None:
    limits = Duplicates(distance_bits=bits, colour_distance=colour)
    for count in (0, 1, 2, 600):
        base = draw(count, seed=count + bits)  # type: ignore[operator]
        ids, duplicate_of = number_pictures(*base, limits)
        assert (ids.tolist(), duplicate_of.tolist()) == compared_with_all(base, limits)


@dataclass(frozen=True)
class Counting(Likeness):
    """Counts the pairs that are compared."""

    pairs: list[int] = field(default_factory=list)

    def __call__(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        alike = super().__call__(some, others)
        self.pairs.append(alike.size)
        return alike


def compared(base: Base) -> int:
    near = Counting(*base, Duplicates())
    repeated_rows(near)
    return sum(near.pairs)


def test_ten_times_the_pictures_are_about_ten_times_the_comparisons() -> None:
    """Comparing each with all would make a hundred times as many."""
    for draw in (spread, one_hash):
        assert compared(draw(40_000, 1)) < 15 * compared(draw(4_000, 1)), draw


def test_equal_pictures_are_compared_once() -> None:
    equal = np.full(50_000, 7, np.uint64), np.full((50_000, 3), 128, np.uint8)
    assert compared(equal) < 10 * len(equal[0])
