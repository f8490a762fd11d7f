"""Exact and near repeats among documents that no memory holds: by signatures in files, in slices.

A signature is a column of numbers. Two documents that share the first are the same text; two that share
any other are nearly the same: each stands for a band of a MinHash (Broder, 1997), so that documents of
Jaccard similarity s over their 5-word phrases share one with probability 1 - (1 - s^8)^14: 9 % at
0.5, 77 % at 0.75, 100 % at 0.9.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

BANDS, ROWS_PER_BAND = 14, 8
WORDS_PER_PHRASE = 5
DOCUMENTS_PER_SLICE = 2_000_000  # 32 MB


def exact_signature(folded: str) -> NDArray[np.uint64]:
    """One number, the same for the same folded text, [1]."""
    return np.array([_number(folded.encode())], np.uint64)


def near_signature(folded: str) -> NDArray[np.uint64]:
    """The exact signature, then one number a band, [1 + bands]."""
    words = folded.split(" ")
    last = max(1, len(words) - WORDS_PER_PHRASE + 1)
    phrases = {" ".join(words[n : n + WORDS_PER_PHRASE]).encode() for n in range(last)}
    sketch = MinHash(num_perm=BANDS * ROWS_PER_BAND, hashfunc=zlib.crc32, scheme="affine32")
    sketch.update_batch(phrases)
    bands = np.asarray(sketch.hashvalues, "<u8").reshape(BANDS, ROWS_PER_BAND)
    return np.array(
        [_number(folded.encode()), *(_number(band.tobytes()) for band in bands)], np.uint64
    )


def repeated_documents(
    files: Sequence[Path], documents_per_slice: int = DOCUMENTS_PER_SLICE
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find documents that repeat an earlier one.

    Args:
        files: ``.npy`` files of signatures, [columns, documents], in the documents' order.
        documents_per_slice: Documents whose numbers are sorted at once, about.

    Returns:
        Whether each document is the same as an earlier one, and whether it is nearly the same as one
        and not the same, [documents] both; 2 bytes a document.
    """
    parts = [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]
    starts = np.cumsum([0, *(part.shape[1] for part in parts)])
    exact, near = np.zeros(starts[-1], bool), np.zeros(starts[-1], bool)
    slices = 1 + int(starts[-1]) // documents_per_slice
    limits = [min(number * 2**64 // slices, 2**64 - 1) for number in range(slices + 1)]
    for column in range(parts[0].shape[0] if parts else 0):
        marked = near if column else exact
        for low, high in pairwise(limits):
            numbers, places = _slice(parts, starts, column, low, high)
            order = np.argsort(numbers, kind="stable")  # documents of one number keep their order
            repeats = numbers[order][1:] == numbers[order][:-1]
            marked[places[order][1:][repeats]] = True
    return exact, near & ~exact


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _slice(
    parts: Sequence[NDArray[np.uint64]], starts: NDArray[np.int64], column: int, low: int, high: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A column's numbers between two limits, and the documents that they belong to."""
    last = high == 2**64 - 1
    numbers, places = [], []
    for part, start in zip(parts, starts, strict=False):
        own = part[column]
        inside = (own >= np.uint64(low)) & ((own < np.uint64(high)) | last)
        found = np.flatnonzero(inside)
        numbers.append(own[found])
        places.append(found + start)
    return np.concatenate(numbers), np.concatenate(places)
