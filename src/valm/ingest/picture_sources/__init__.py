"""Picture sources: one file each, which takes named pictures out of pinned raw files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class PictureSource:
    """A picture source.

    Attributes:
        pictures: Yields the pictures of the raw files (by their names in the lock), in a fixed order.
        raw: Names in ``config/sources.lock.yaml`` of the raw files that it reads.
        params: Model of the parameters in ``ingest.pictures.params``.
    """

    pictures: Callable[[Mapping[str, Path]], Iterator[RawPicture]]
    raw: tuple[str, ...] = ()
    params: type[Settings] = NoParams


PICTURE_SOURCES: Registry[PictureSource] = Registry("picture source", "valm.ingest.picture_sources")
