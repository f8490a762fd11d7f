"""Picture lists in real shards, from drawings made on the spot."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

from PIL import Image, ImageDraw

from valm.config.ingest import Duplicates, PictureStorage
from valm.core.job import Job
from valm.core.registry import Registry
from valm.ingest.picture_sources import PictureSource, RawPicture
from valm.ingest.pictures.numbering import list_pictures
from valm.ingest.pictures.write import write_pictures

SOURCE = "drawn"


def drawing(number: int) -> bytes:
    """A disc or a square whose place, size and colour depend on a number; a PNG of 40 pixels."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.61803 % 1, 0.9, 0.9)
    image = Image.new("RGBA", (40, 40))
    box = (2 + number % 7, 3 + number % 5, 30 + number % 9, 28 + number % 11)
    pen = ImageDraw.Draw(image)
    shape = pen.ellipse if number % 2 else pen.rectangle
    shape(box, fill=(int(red * 255), int(green * 255), int(blue * 255), 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def raw_pictures(count: int) -> list[RawPicture]:
    """Named drawings with captions and keywords."""
    return [
        RawPicture(
            drawing(n), f"thing {n}", (f"thing {n}, drawn",), f"drawing {n}", ("toy",), "CC0"
        )
        for n in range(count)
    ]


def drawn_list(
    folder: Path,
    count: int,
    pictures: list[RawPicture] | None = None,
    samples_per_shard: int = 1000,
) -> Path:
    """Write drawings into shards and a list below a folder; returns the list's manifest."""
    found = raw_pictures(count) if pictures is None else pictures

    def source(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
        return iter(found)

    section = {
        "ingest.pictures.storage": PictureStorage(samples_per_shard=samples_per_shard).model_dump(),
        "ingest.pictures.duplicates": Duplicates().model_dump(),
        "ingest.pictures.sources": [SOURCE],
        "seed": 1,
    }
    shards = folder / SOURCE / "pictures.manifest.json"
    shards.parent.mkdir(parents=True, exist_ok=True)
    with patch.object(Registry, "get", lambda self, name: PictureSource(source)):
        write_pictures(Job("write-pictures", section, "c0de"), source=SOURCE, raw=[], output=shards)
    manifest = folder / "list.manifest.json"
    list_pictures(Job("list-pictures", section, "c0de"), pictures=[shards], output=manifest)
    return manifest
