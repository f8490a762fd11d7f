"""Training that gives the same bits whichever thread comes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def same_bits() -> Iterator[None]:
    """Let torch use no operation whose bits depend on the order in which threads come.

    The slopes of rows that are read several times (``rows[places]``) are such: by default threads add
    them up as they come. Also a decorator.

    Raises:
        RuntimeError: An operation inside has no form of which the bits are always the same.
    """
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
