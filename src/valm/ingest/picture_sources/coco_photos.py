"""COCO photos with five captions each; nobody gives them a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.ingest.picture_sources import PictureSource, RawPicture
from valm.ingest.pictures.captioned_folder import captioned_pictures

COLLECTION = "coco_photos"


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """All photos, each under its own licence."""
    for photo in captioned_pictures(raw[COLLECTION]):
        yield RawPicture(
            data=photo.data,
            name="",
            captions=tuple(row["caption"].strip() for row in photo.rows),
            licence=photo.rows[0]["licence"],
            origin=photo.file,
        )


PLUGIN = PictureSource(pictures, raw=(COLLECTION,))
