"""Work in several processes whose results come back in order."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

SECONDS_BETWEEN_LOOKS = 2.0
UNDER_WAY = 2  # items a process: one that is worked on, one that waits for it


def side_by_side(function: Callable[[T], R], items: Iterable[T], processes: int) -> Iterator[R]:
    """Apply a function to each item; no more items are read ahead than the processes need.

    Args:
        function: Of a module, or a ``partial`` of one: it is named to new processes.
        items: What to work on; each is sent to a process.
        processes: One works right here.

    Yields:
        The results, in the order of the items.
    """
    if processes == 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_end_with,
        initargs=(os.getpid(),),
    ) as pool:
        under_way: deque[Future[R]] = deque()
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) == UNDER_WAY * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, killed or not."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
