"""Progress: a rich bar on a terminal, a plain line now and then in a log, and ``progress.json``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from valm.core.atomic import write_json
from valm.core.logs import logger

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 10.0
PLAIN = "VALM_PLAIN_PROGRESS"  # in the environment: lines also on a terminal, which jobs may share


class Tracker:
    """Counts units done, as a context manager; ``advance`` is cheap enough for each batch.

    Args:
        what: What is being done ("embedding pictures").
        total: Number of units; None if nobody knows.
        unit: What is counted ("pictures", "tokens").
        file: Where to keep ``progress.json``, if anywhere.
        done: Units that an earlier run has done; rates and times count from here.

    Attributes:
        facts: What else ``progress.json`` is to say; plain data.
    """

    def __init__(
        self, what: str, total: int | None, unit: str, file: Path | None = None, done: int = 0
    ):
        self.what, self.total, self.unit, self.file = what, total, unit, file
        self.done, self.note = done, ""
        self.facts: dict[str, Any] = {}
        self._first = done
        self._start = self._last = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Tracker:
        if sys.stderr.isatty() and not os.environ.get(PLAIN):
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(
                self.what, total=self.total, completed=self.done, note=""
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tell(final=error is None)
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` more units; ``note`` (a loss, a rate) is shown beside them."""
        self.done += count
        self.note = note
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._tell(final=False)

    def _tell(self, final: bool) -> None:
        self._last = time.monotonic()
        elapsed = max(self._last - self._start, 1e-9)
        rate = (self.done - self._first) / elapsed
        left = None if self.total is None or not rate else round((self.total - self.done) / rate, 1)
        if self._bar is None:
            of_total = "" if self.total is None else f" of {self.total:,}"
            when = f"in {elapsed:.0f} s" if final or left is None else f"{left:.0f} s left"
            logger.info(
                "%s: %s%s %s (%.3g/s), %s %s",
                self.what, f"{self.done:,}", of_total, self.unit, rate, when, self.note,
            )  # fmt: skip
        if self.file is not None:
            state = {"what": self.what, "done": self.done, "total": self.total, "unit": self.unit}
            timing = {"seconds": round(elapsed, 1), "seconds_left": left}
            write_json(self.file, state | timing | {"note": self.note} | self.facts)


def track(items: Iterable[T], what: str, total: int | None, unit: str) -> Iterator[T]:
    """Yield the items one by one, showing progress."""
    with Tracker(what, total, unit) as tracker:
        for item in items:
            yield item
            tracker.advance()
