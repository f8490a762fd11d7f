"""Text sources: one file each, which turns pinned raw files or the picture list into documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from valm.core.registry import Registry
from valm.ingest.documents import Document


@dataclass(frozen=True)
class TextInputs:
    """What a text source is made from.

    Attributes:
        raw: Raw files by their name in ``config/sources.lock.yaml``.
        pictures: Manifest of the picture list, for sources that need it.
        seed: The study's seed.
    """

    raw: Mapping[str, Path]
    pictures: Path | None
    seed: int

    @property
    def picture_list(self) -> Path:
        """The picture list's manifest, for sources that declare ``needs_pictures``."""
        if self.pictures is None:
            raise ValueError("this source needs the picture list")
        return self.pictures


@dataclass(frozen=True)
class TextSource:
    """A text source.

    Attributes:
        documents: Yields the documents, always in the same order.
        raw: Names in ``config/sources.lock.yaml`` of the raw files that it reads.
        needs_pictures: Whether it reads the picture list.
        grouped: Whether its documents have groups; then every one has.
        third_party: Whether encoding faults are to be expected and mended.
    """

    documents: Callable[[TextInputs], Iterator[Document]]
    raw: tuple[str, ...] = ()
    needs_pictures: bool = False
    grouped: bool = False
    third_party: bool = True


TEXT_SOURCES: Registry[TextSource] = Registry("text source", "valm.ingest.text_sources")
