"""Picture sources: one file each, which takes named pictures out of pinned raw files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valm.config.base import Settings
from valm.config.source_params import NoParams
from valm.core.registry import Registry


@dataclass(frozen=True)
class RawPicture:
    """A picture as it comes from outside, still encoded.

    Attributes:
        data: The encoded bytes (png, webp, jpeg).
        name: What it shows, as one lower-case name ("banana"); empty if nobody says.
        captions: One or more captions; all go with the picture, the first is its ``.txt``.
        keywords: Further words for it.
        licence: Licence of the picture, if it has one of its own.
        origin: Where in the raw file it was, for error messages.
    """

    data: bytes
    name: str
    captions: tuple[str, ...]
    origin: str
    keywords: tuple[str, ...] = ()
    licence: str = ""


def _nothing(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    return iter(())


@dataclass(frozen=True)
class PlannedShards:
    """What a source of any size says about its shards before a single picture is there.

    Attributes:
        params: Model of the source's parameters in ``ingest.pictures.params``.
        count: Number of shards under some parameters.
        downloads: Whether the pictures are to be downloaded, from addresses of which a list is made.
        pictures: Yields a shard's pictures, given the parameters, the shard's number, the tar that was
            downloaded for it (None where nothing is), and where to count rejects by reason.
    """

    params: type[Settings]
    count: Callable[[Any], int]
    downloads: Callable[[Any], bool]
    pictures: Callable[[Any, int, Path | None, Counter[str]], Iterator[RawPicture]]


@dataclass(frozen=True)
class PictureSource:
    """A picture source: of pinned raw files, written by one job, or of planned shards, a job each.

    Attributes:
        pictures: Yields the pictures of the raw files (by their names in the lock), in a fixed order.
        raw: Names in ``config/sources.lock.yaml`` of the raw files that it reads.
        planned: Its shards, if it has any; then ``pictures`` is not asked.
    """

    pictures: Callable[[Mapping[str, Path]], Iterator[RawPicture]] = _nothing
    raw: tuple[str, ...] = ()
    planned: PlannedShards | None = None

    @property
    def params(self) -> type[Settings]:
        """Model of the parameters that it takes."""
        return self.planned.params if self.planned else NoParams


PICTURE_SOURCES: Registry[PictureSource] = Registry("picture source", "valm.ingest.picture_sources")
