"""A folder of pictures; each is captioned by the text file of the same stem, else by its own name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from valm.config.base import Settings
from valm.core.seeding import unit_interval
from valm.errors import InputError
from valm.ingest.picture_sources import PictureSource, PlannedShards, RawPicture
from valm.ingest.pictures.tars import LARGEST_BYTES, PICTURES, whole_text


class Params(Settings):
    """Which folder, and whose pictures."""

    folder: Path = Field(description="The folder; those in it are read too, links are not.")
    shards: int = Field(1, ge=1, le=100_000, description="Shards that its files fall into by name.")
    licence: str = Field("", description="Licence of the pictures.")


def pictures(
    params: Params, shard: int, downloaded: Path | None, rejected: Counter[str]
) -> Iterator[RawPicture]:
    """The pictures of a shard, by name."""
    if not params.folder.is_dir():
        raise InputError("the folder of pictures is missing", where=params.folder)
    for path in _files(params.folder):
        name = whole_text(path.relative_to(params.folder).as_posix())
        if int(unit_interval(name, "shard") * params.shards) != shard:
            continue
        ending = path.suffix[1:].lower()
        if path.is_symlink() or not path.is_file():
            rejected["not_a_file"] += 1
        elif path.stat().st_size > LARGEST_BYTES[ending]:
            rejected["too_many_bytes"] += 1
        else:
            yield RawPicture(
                data=path.read_bytes(),
                name="",
                captions=(_caption(path),),
                licence=params.licence,
                origin=name,
            )


def _files(folder: Path) -> list[Path]:
    """Everything that is named like a picture, in the order of names; links to folders are not followed."""
    found = [Path(top) / name for top, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if path.suffix[1:].lower() in PICTURES)


def _caption(path: Path) -> str:
    beside = path.with_suffix(".txt")
    if beside.is_file() and not beside.is_symlink():
        with beside.open("rb") as file:
            return file.read(LARGEST_BYTES["txt"]).decode("utf-8", errors="replace")
    return path.stem.replace("_", " ").replace("-", " ")


PLUGIN = PictureSource(
    planned=PlannedShards(Params, lambda params: int(params.shards), lambda params: False, pictures)
)
