"""Which pictures a control may show that nothing was retrieved by: all that have not been taken down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.ingest.pictures.retracted import retracted_ids


@dataclass(frozen=True)
class Showable:
    """The rows of the picture table without those that were taken down, numbered one after the other.

    Such a row stays in the table, so that no other moves, and has no place here. Where nothing was taken
    down, places are rows.

    Attributes:
        table_rows: N, the number of rows of the picture table.
        gone: int64 [G], ascending: the rows that were taken down.
    """

    table_rows: int
    gone: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def among(cls, table_rows: int, retracted: Path | None) -> Showable:
        """Those of a table but what a list has taken down.

        Args:
            retracted: Manifest of the retracted pictures; None: there are none.

        Raises:
            InputError: The manifest is missing or of another kind.
        """
        return cls(table_rows, retracted_ids(retracted))

    def __len__(self) -> int:
        """N - G."""
        return self.table_rows - len(self.gone)

    def rows(self, places: NDArray[Any]) -> NDArray[np.int32]:
        """The rows at some places, from 0 to N - G - 1, of any shape."""
        if not len(self.gone):
            return places.astype(np.int32, copy=False)
        # So many rows that may be shown come before each that may not.
        before = self.gone - np.arange(len(self.gone))
        return (places + np.searchsorted(before, places, side="right")).astype(np.int32)

    def places(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The places of some rows, none of which was taken down, of any shape."""
        return rows - np.searchsorted(self.gone, rows) if len(self.gone) else rows
