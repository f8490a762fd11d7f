"""Cuts a stream into lists of a size (``itertools.batched`` for Python 3.11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of ``size`` items; the last may be shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch
