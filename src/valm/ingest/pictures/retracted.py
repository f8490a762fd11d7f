"""Which pictures have been taken down, as ``list-retracted`` has found them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valm.core.manifest import read_manifest

KIND = "retracted"


def retracted_ids(manifest: Path | None) -> NDArray[np.int64]:
    """The ids of the retracted pictures, ascending; none without a manifest.

    Raises:
        InputError: The manifest is missing or of another kind.
    """
    if manifest is None:
        return np.empty(0, np.int64)
    read_manifest(manifest, KIND)
    ids: NDArray[np.int64] = np.load(manifest.with_name(f"{KIND}.npy"), allow_pickle=False)
    return ids


def retracted_beside(pictures: Path) -> NDArray[np.int64]:
    """The ids of the retracted pictures of a study's picture list, ascending; none if none were listed.

    Args:
        pictures: Manifest of the picture list, or the list.
    """
    manifest = pictures.with_name(f"{KIND}.manifest.json")
    return retracted_ids(manifest if manifest.is_file() else None)
