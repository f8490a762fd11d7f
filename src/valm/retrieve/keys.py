"""The picture keys, as an index takes them: of unit length or with the encoder's lengths, all or a share.

``embed`` stores unit keys and their norms. The official index holds raw vectors, whose lengths count in an
inner product: pictures with long vectors are found more often (VALM.md 2.3). A share of the pictures stands
for a smaller image base (the paper's Table 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from valm.core.manifest import read_manifest
from valm.core.seeding import derive_seed
from valm.errors import IntegrityError


@dataclass(frozen=True)
class PictureKeys:
    """The keys of the pictures that an index holds; a row of the tables is a picture's id.

    Attributes:
        unit: float16 [N, E], unit length; may be memory-mapped.
        norms: float32 [N], the lengths to give them; None: they stay as they are.
        ids: The pictures that are held, int64, ascending; None: all N.
    """

    unit: NDArray[np.float16]
    norms: NDArray[np.float32] | None = None
    ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.unit if self.ids is None else self.ids)

    @property
    def width(self) -> int:
        """E."""
        return int(self.unit.shape[1])

    @property
    def longest(self) -> float:
        """The length of the longest key."""
        return 1.0 if self.norms is None else float(self.norms.max(initial=0))

    def rows(self, which: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Some keys by their places among those held, float32 [..., E]."""
        return self.of(which if self.ids is None else self.ids[which])

    def of(self, pictures: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The keys of some pictures by their ids, float32 [..., E]."""
        rows = self.unit[pictures].astype(np.float32)
        if self.norms is not None:
            rows *= self.norms[pictures][..., np.newaxis]
        return rows


def drawn_pictures(pictures: int, fraction: float, seed: int) -> NDArray[np.int64]:
    """A share of the picture ids, ascending, drawn by the hash of each id.

    Under one seed a smaller share lies within a larger one, and a picture that is drawn stays drawn when
    the image base grows. The hash is SplitMix64's finaliser (Steele, Lea, Flood 2014).

    Args:
        pictures: N; ids are 0 to N - 1.
        fraction: Above 0, up to 1.
        seed: The study's seed.
    """
    with np.errstate(over="ignore"):
        mixed = np.arange(pictures, dtype=np.uint64) + np.uint64(derive_seed(seed, "image base"))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.flatnonzero(mixed < np.uint64(min(round(fraction * 2**64), 2**64 - 1)))


def open_keys(
    vectors: Path,
    kind: Literal["unit", "raw"] = "unit",
    fraction: float = 1.0,
    seed: int = 0,
    without: NDArray[np.int64] | None = None,
) -> PictureKeys:
    """The keys of an index, memory-mapped as ``embed-pictures`` wrote them.

    Args:
        vectors: Manifest of the picture vectors.
        kind: As in ``retrieve.indices``.
        fraction: As in ``retrieve.indices``.
        seed: The study's seed, from which a share of the pictures is drawn.
        without: Ids of pictures that have been taken down.

    Raises:
        IntegrityError: There are not as many keys, or norms, as the manifest states.
    """
    manifest = read_manifest(vectors, "vectors")
    unit = _mapped(vectors, "keys.npy", 2, manifest.rows)
    norms = _mapped(vectors, "norms.npy", 1, manifest.rows) if kind == "raw" else None
    ids = None
    if fraction < 1:
        ids = drawn_pictures(manifest.rows, fraction, seed)
    if without is not None and len(without):
        ids = np.setdiff1d(np.arange(manifest.rows) if ids is None else ids, without)
    return PictureKeys(unit, norms, ids)


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
