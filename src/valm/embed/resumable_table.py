"""Tables of vectors that a killed job goes on filling: ``.npy`` files and a count of rows done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from valm.core.atomic import atomic_path, write_json


class ResumableTable:
    """Float16 arrays with the same number of rows, filled from the front, block by block.

    The rows are written in place, so that a large table lies on the disk once. A row counts when
    the count of rows says so, which is written after the rows have reached the disk.

    Args:
        folder: The job's work directory.
        rows: Rows of each array.
        widths: Columns of each array, by name.
    """

    def __init__(self, folder: Path, rows: int, widths: Mapping[str, int]):
        self._folder, self._rows = folder, rows
        self._files = {name: folder / f"{name}.npy" for name in widths}
        self._progress = folder / "rows_done.json"
        going_on = self._progress.exists() and all(file.exists() for file in self._files.values())
        if not going_on:
            self._progress.unlink(missing_ok=True)
        self.done = int(json.loads(self._progress.read_text())) if going_on else 0
        self._arrays: dict[str, NDArray[Any]] = {
            name: open_memmap(
                self._files[name], "r+" if going_on else "w+", np.float16, (rows, width)
            )
            for name, width in widths.items()
        }

    def append(self, **blocks: NDArray[Any]) -> None:
        """Add one block of rows to each array, by name; then the rows count."""
        (count,) = {len(block) for block in blocks.values()}
        for name, block in blocks.items():
            self._arrays[name][self.done : self.done + count] = block
            self._arrays[name].flush()  # type: ignore[attr-defined]
        self.done += count
        write_json(self._progress, self.done)

    def publish(self, folder: Path) -> list[Path]:
        """Move the filled arrays into a folder, each atomically, and return their paths."""
        assert self.done == self._rows, f"{self._rows - self.done} rows are missing"
        self._arrays.clear()
        targets = []
        for name, file in self._files.items():
            targets.append(folder / f"{name}.npy")
            with atomic_path(targets[-1]) as temporary:
                shutil.move(file, temporary)
        return targets
