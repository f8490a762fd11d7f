"""The picture keys, as an index takes them: of unit length, or with the lengths that the encoder gave.

``embed`` stores unit keys and their norms. The official index holds raw vectors, whose lengths count in an
inner product: pictures with long vectors are found more often (VALM.md 2.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from valm.core.manifest import read_manifest
from valm.errors import IntegrityError


@dataclass(frozen=True)
class PictureKeys:
    """The keys of all pictures; a row's number is the picture's id.

    Attributes:
        unit: float16 [N, E], unit length; may be memory-mapped.
        norms: float32 [N], the lengths to give them; None: they stay as they are.
    """

    unit: NDArray[np.float16]
    norms: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def width(self) -> int:
        """E."""
        return int(self.unit.shape[1])

    @property
    def longest(self) -> float:
        """The length of the longest key."""
        return 1.0 if self.norms is None else float(self.norms.max(initial=0))

    def rows(self, which: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Some keys, float32 [..., E]."""
        rows = self.unit[which].astype(np.float32)
        if self.norms is not None:
            rows *= self.norms[which][..., np.newaxis]
        return rows


def open_keys(vectors: Path, kind: Literal["unit", "raw"] = "unit") -> PictureKeys:
    """The keys that ``embed-pictures`` wrote, memory-mapped.

    Args:
        vectors: Manifest of the picture vectors.
        kind: As in ``retrieve.indices``.

    Raises:
        IntegrityError: There are not as many keys, or norms, as the manifest states.
    """
    manifest = read_manifest(vectors, "vectors")
    unit = _mapped(vectors, "keys.npy", 2, manifest.rows)
    norms = _mapped(vectors, "norms.npy", 1, manifest.rows) if kind == "raw" else None
    return PictureKeys(unit, norms)


def _mapped(vectors: Path, name: str, dimensions: int, rows: int) -> NDArray[Any]:
    path, cure = vectors.with_name(name), f"delete {vectors} and run the study again"
    if not path.is_file():
        raise IntegrityError("a table of the picture vectors is missing", where=path, cure=cure)
    table: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if table.ndim != dimensions or len(table) != rows:
        raise IntegrityError(
            f"expected {rows} {path.stem}, found an array of shape {table.shape}",
            where=path,
            cure=cure,
        )
    return table
