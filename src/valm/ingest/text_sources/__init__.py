"""Text sources: one file each, which turns pinned raw files or the picture list into documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from valm.config.base import Settings
from valm.config.source_params import NoParams
from valm.core.registry import Registry
from valm.ingest.text.documents import Document


@dataclass(frozen=True)
class TextInputs:
    """What a text source is made from.

    Attributes:
        raw: Raw files by their name in ``config/sources.lock.yaml``.
        pictures: Manifest of the picture list, for sources that need it.
        seed: The study's seed.
        params: The source's parameters.
        work: The job's work folder, for sources that clean text themselves.
        threads: Processes that may work side by side.
        facts: Where a source puts what its manifest is to say.
    """

    raw: Mapping[str, Path]
    pictures: Path | None
    seed: int
    params: Settings = field(default_factory=NoParams)
    work: Path | None = None
    threads: int = 1
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def work_folder(self) -> Path:
        """The job's work folder, for sources that declare ``cleans_itself``."""
        if self.work is None:
            raise ValueError("this source needs a work folder")
        return self.work

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
        pictured: Whether its documents came with pictures; then every one did.
        third_party: Whether encoding faults are to be expected and mended.
        params: Model of the parameters in ``ingest.text.params``, ``files`` among them if it reads
            files that the study names.
        cleans_itself: Whether its documents are as they are to be, made in a work folder and side by
            side.
    """

    documents: Callable[[TextInputs], Iterator[Document]]
    raw: tuple[str, ...] = ()
    needs_pictures: bool = False
    grouped: bool = False
    pictured: bool = False
    third_party: bool = True
    params: type[Settings] = NoParams
    cleans_itself: bool = False


TEXT_SOURCES: Registry[TextSource] = Registry("text source", "valm.ingest.text_sources")
