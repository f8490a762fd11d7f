"""Tables that a killed job goes on filling: ``.npy`` columns and a note of how far they are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

from valm.core.atomic import atomic_path, write_json


class GrowingTable:
    """Columns with the same number of rows, memory-mapped and filled from the front.

    Rows are written in place, so that a large table lies on the disk once. A row counts when the
    note says so, and the note is written after the rows have reached the disk.

    Args:
        folder: The job's work directory.
        rows: Rows of each column.
        columns: Width and dtype of each column, by name; a width of None is one number a row.

    Attributes:
        done: Rows that count.
        columns: The mapped arrays by name, [rows, width] or [rows].
    """

    def __init__(
        self, folder: Path, rows: int, columns: Mapping[str, tuple[int | None, DTypeLike]]
    ):
        self._rows = rows
        self._note = folder / "rows_done.json"
        self._files = {name: folder / f"{name}.npy" for name in columns}
        going_on = all(file.is_file() for file in (self._note, *self._files.values()))
        if not going_on:
            self._note.unlink(missing_ok=True)  # it may speak of rows of a column that is lost
        self.done = int(json.loads(self._note.read_text("utf-8"))) if going_on else 0
        mode: Any = "r+" if going_on else "w+"
        self.columns: dict[str, np.memmap[Any, Any]] = {
            name: open_memmap(
                self._files[name],
                mode,
                np.dtype(dtype),
                (rows,) if width is None else (rows, width),
            )
            for name, (width, dtype) in columns.items()
        }

    def append(self, **blocks: NDArray[Any]) -> None:
        """Write the next rows of every column, by name; then they count."""
        (count,) = {len(block) for block in blocks.values()}
        for name, block in blocks.items():
            self.columns[name][self.done : self.done + count] = block
            self.columns[name].flush()
        self.done += count
        write_json(self._note, self.done)

    def publish(self, folder: Path, prefix: str = "") -> list[Path]:
        """Give the full columns their final names ``<prefix><column>.npy`` and return the paths.

        They keep their names in the work directory too: if the job is killed before its manifest is
        written, and whoever started it deletes its outputs, the next run still has them.
        """
        assert self.done == self._rows, f"{self._rows - self.done} rows are missing"
        targets = {name: folder / f"{prefix}{name}.npy" for name in self._files}
        for name, target in targets.items():
            with atomic_path(target) as temporary:
                try:
                    os.link(self._files[name], temporary)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(self._files[name], temporary)
        return list(targets.values())

    def remove(self) -> None:
        """Forget the work, once the manifest names the published columns."""
        for file in (self._note, *self._files.values()):
            file.unlink()
