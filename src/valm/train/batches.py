"""Batches: blocks of the token stream, with the pictures of their tokens, in a seeded order.

The order follows from seed and step alone, so a run goes on at any step without further state, and
every variant of one seed sees the same batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from valm.core.seeding import numpy_generator
from valm.models.pictures import Pictures
from valm.retrieve.given import Given

BATCHES_AHEAD = 2


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


@dataclass(frozen=True)
class Blocks:
    """A token stream cut into blocks of the model's context, each predicting one token ahead.

    Attributes:
        tokens: Ids of the stream, memory-mapped.
        context_tokens: Length of a block.
        given: What each token of the stream is given to look at; None: no pictures.
        table: Values of all pictures, if ``given`` names rows: standardised and in memory, or as
            they were written and memory-mapped, of which only a batch's rows are ever read.
    """

    tokens: NDArray[Any]
    context_tokens: int
    given: Given | None = None
    table: Float[Tensor, "rows value"] | NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return max(0, (len(self.tokens) - 1) // self.context_tokens)

    def batch(self, blocks: NDArray[np.int64]) -> Batch:
        """The blocks of some numbers as one batch."""
        starts = blocks[:, np.newaxis] * self.context_tokens
        places = starts + np.arange(self.context_tokens + 1)
        ids = torch.from_numpy(self.tokens[places].astype(np.int64))
        return Batch(ids[:, :-1], ids[:, 1:], self._pictures(places[:, :-1]))

    def _pictures(self, places: NDArray[np.int64]) -> Pictures | None:
        if self.given is None:
            return None
        mask = torch.from_numpy(self.given.mask[places])
        if self.given.values is not None:
            return Pictures(mask, vectors=torch.from_numpy(self.given.values[places]))
        if self.given.ids is None:
            return None
        ids = self.given.ids[places]
        if isinstance(self.table, np.ndarray):
            return Pictures(mask, vectors=torch.from_numpy(self.table[ids]))
        return Pictures(mask, table=self.table, ids=torch.from_numpy(ids), standardised=True)

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
    blocks: Blocks, per_step: int, seed: int, first_step: int, share: Share = WHOLE
) -> Iterator[Batch]:
    """Training batches from a step on, without end.

    Args:
        per_step: Blocks of one step, of all processes together.
        share: The share of this process, which comes in so many batches a step.
    """
    step = first_step
    while True:
        numbers = blocks_of_step(len(blocks), per_step, seed, step)
        for part in numbers.reshape(share.parts, share.processes, -1)[:, share.rank]:
            yield blocks.batch(part)
        step += 1


def prefetched(
    batches: Iterator[Batch], prepare: Callable[[Batch], Batch] = Batch.pinned
) -> Iterator[Batch]:
    """The same batches, read and prepared by a thread while those before are trained on.

    Args:
        batches: Without end.
        prepare: What the thread does to each.
    """
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = deque(thread.submit(lambda: prepare(next(batches))) for _ in range(BATCHES_AHEAD))
        while True:
            coming.append(thread.submit(lambda: prepare(next(batches))))
            yield coming.popleft().result()


def ordered_batches(blocks: Blocks, count: int, per_batch: int) -> Iterator[Batch]:
    """The first blocks of the stream in their order, each once: for validation."""
    for numbers in np.array_split(np.arange(count), max(1, -(-count // per_batch))):
        yield blocks.batch(numbers)
