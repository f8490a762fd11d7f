"""Raw files of the sources lock, out of a mirror; a test that needs one is skipped without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from valm.core.digest import sha256_file
from valm.ingest.raw.sources import LOCK, load_sources

REPOSITORY = Path(__file__).parents[2]


def raw_file(source: str) -> Path:
    """A pinned file below ``VALM_MIRROR``, verified."""
    root = os.environ.get("VALM_MIRROR")
    if not root:
        pytest.skip(f"VALM_MIRROR does not name a mirror, which holds {source}")
    (pinned,) = load_sources(REPOSITORY / LOCK)[source].pinned_files()
    path = Path(root, str(pinned.mirror_path))
    if not path.is_file():
        pytest.skip(f"the mirror does not hold {source}")
    assert sha256_file(path) == pinned.sha256
    return path
