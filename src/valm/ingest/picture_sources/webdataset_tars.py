"""WebDataset tars that the study names, each one shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from valm.config.base import Settings
from valm.ingest.picture_sources import PictureSource, PlannedShards, RawPicture
from valm.ingest.pictures.tars import tar_pictures


class Params(Settings):
    """Which tars, and whose pictures."""

    files: list[Path] = Field(min_length=1, description="The tars, in order.")
    licence: str = Field("", description="Licence of pictures whose facts state none.")


def pictures(
    params: Params, shard: int, downloaded: Path | None, rejected: Counter[str]
) -> Iterator[RawPicture]:
    """The pictures of one tar."""
    return tar_pictures(params.files[shard], params.licence, rejected)


PLUGIN = PictureSource(
    planned=PlannedShards(Params, lambda params: len(params.files), lambda params: False, pictures)
)
