"""Batches: blocks of the token stream, with the pictures of their tokens, in a seeded order.

The order follows from seed and step alone, so a run goes on at any step without further state, and
every variant of one seed sees the same batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count as counted
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from valm.core.seeding import numpy_generator
from valm.models.pictures import Pictures
from valm.retrieve.given import Given

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2


@dataclass(frozen=True)
class Batch:
    """Sequences of one step: what is read, what is to be predicted, and the pictures."""

    ids: Int[Tensor, "batch tokens"]
    targets: Int[Tensor, "batch tokens"]
    pictures: Pictures | None

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device; Lightning calls this. From pinned memory nobody waits."""
        pictures = None if self.pictures is None else self.pictures.to(device)
        ids, targets = (part.to(device, non_blocking=True) for part in (self.ids, self.targets))
        return Batch(ids, targets, pictures)

    def pinned(self) -> Batch:
        """The same batch in memory that a GPU reads while the CPU goes on."""
        pictures = None if self.pictures is None else self.pictures.pinned()
        return Batch(self.ids.pin_memory(), self.targets.pin_memory(), pictures)


# From positions in a stream, [blocks, tokens] each, to these and what their tokens are given.
FoundOnline = Callable[[Iterator[NDArray[np.int64]]], Iterator[tuple[NDArray[np.int64], Given]]]


@dataclass(frozen=True)
class Blocks:
    """A token stream cut into blocks of the model's context, each predicting one token ahead.

    Attributes:
        tokens: Ids of the stream, memory-mapped.
        context_tokens: Length of a block.
        given: What each token of the stream is given to look at; None: no pictures, or those that are
            found online.
        found_online: Finds what tokens are given, by their positions, batch by batch.
        table: Values of all pictures, if ``given`` names rows: standardised and in memory, or as
            they were written and memory-mapped, of which only a batch's rows are ever read.
    """

    tokens: NDArray[Any]
    context_tokens: int
    given: Given | None = None
    found_online: FoundOnline | None = None
    table: Float[Tensor, "rows value"] | NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return max(0, (len(self.tokens) - 1) // self.context_tokens)

    @property
    def shows_pictures(self) -> bool:
        """Whether tokens are given any pictures."""
        given = self.given
        in_tables = given is not None and (given.ids is not None or given.values is not None)
        return in_tables or self.found_online is not None

    def batches(self, blocks: Iterator[NDArray[np.int64]]) -> Iterator[Batch]:
        """Batches of the blocks of some numbers; pictures are found while those before are used."""
        places = map(self._places, blocks)
        if self.found_online is None:
            yield from (self._batch(read, self._given_at(read)) for read in places)
        else:
            for read, given in prefetched(self.found_online(places), lambda found: found):
                yield self._batch(read, given)

    def _places(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in the stream of the tokens that are read, [blocks, tokens]."""
        return blocks[:, np.newaxis] * self.context_tokens + np.arange(self.context_tokens)

    def _given_at(self, places: NDArray[np.int64]) -> Given | None:
        return None if self.given is None else self.given.at(places)

    def _batch(self, places: NDArray[np.int64], given: Given | None) -> Batch:
        ids, targets = (
            torch.from_numpy(self.tokens[shifted].astype(np.int64))
            for shifted in (places, places + 1)
        )
        return Batch(ids, targets, None if given is None else self._pictures(given))

    def _pictures(self, given: Given) -> Pictures | None:
        mask = torch.from_numpy(given.mask)
        if given.values is not None:
            return Pictures(mask, vectors=torch.from_numpy(given.values))
        if given.ids is None:
            return None
        if isinstance(self.table, np.ndarray):
            return Pictures(mask, vectors=torch.from_numpy(self.table[given.ids]))
        return Pictures(mask, table=self.table, ids=torch.from_numpy(given.ids), standardised=True)

    def to(self, device: torch.device) -> Blocks:
        """The same blocks, whose batches share a picture table on a device."""
        if isinstance(self.table, Tensor):
            return replace(self, table=self.table.to(device))
        return self


@dataclass(frozen=True)
class Share:
    """What one process computes of a step's batch, and in how many parts.

    Attributes:
        rank: Number of the process, from 0.
        processes: How many share the batch.
        parts: Batches that its share is cut into, whose gradients are summed.
    """

    rank: int = 0
    processes: int = 1
    parts: int = 1


WHOLE = Share()


@lru_cache(maxsize=2)
def epoch_order(blocks: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of all blocks in one pass over the stream."""
    return numpy_generator(seed, "blocks", epoch).permutation(blocks)


def blocks_of_step(blocks: int, per_step: int, seed: int, step: int) -> NDArray[np.int64]:
    """Numbers of the blocks of one step: passes over the stream follow one another endlessly."""
    places = np.arange(step * per_step, (step + 1) * per_step)
    return np.array([epoch_order(blocks, seed, p // blocks)[p % blocks] for p in places.tolist()])


def shuffled_batches(
    blocks: Blocks,
    per_step: int,
    seed: int,
    first_step: int,
    share: Share = WHOLE,
    end_step: int | None = None,
) -> Iterator[Batch]:
    """Training batches from a step on.

    Args:
        per_step: Blocks of one step, of all processes together.
        share: The share of this process, which comes in so many batches a step.
        end_step: The step before which they end; None: never.
    """
    steps = counted(first_step) if end_step is None else range(first_step, end_step)
    return blocks.batches(_shuffled(len(blocks), per_step, seed, steps, share))


def _shuffled(
    blocks: int, per_step: int, seed: int, steps: Iterable[int], share: Share
) -> Iterator[NDArray[np.int64]]:
    for step in steps:
        numbers = blocks_of_step(blocks, per_step, seed, step)
        yield from numbers.reshape(share.parts, share.processes, -1)[:, share.rank]


def prefetched(read: Iterator[T], prepare: Callable[[T], R]) -> Iterator[R]:
    """What an iterator gives, read and prepared by a thread while what came before is used.

    Args:
        prepare: What the thread does to each.
    """

    def some() -> list[R]:
        return [prepare(each) for each in islice(read, 1)]

    thread = ThreadPoolExecutor(1, "prefetched")
    try:
        coming = deque(thread.submit(some) for _ in range(AHEAD + 1))
        while one := coming.popleft().result():
            coming.append(thread.submit(some))
            yield from one
    finally:
        thread.shutdown(cancel_futures=True)


def ordered_batches(blocks: Blocks, count: int, per_batch: int) -> Iterator[Batch]:
    """So many first blocks of the stream in their order, each once: for validation."""
    return blocks.batches(iter(np.array_split(np.arange(count), max(1, -(-count // per_batch)))))
