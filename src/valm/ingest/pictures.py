"""Writes a picture source as LAION-style shards: tar files in img2dataset's layout.

Later phases see exactly what a LAION download gives them: ``00000.tar`` with ``000000000.png``,
``.txt`` and ``.json`` a picture, and ``00000.parquet`` with the metadata of the shard.
"""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valm.config.phases import PictureStorage
from valm.core.atomic import atomic_path
from valm.core.digest import canonical_json
from valm.core.job import Job
from valm.core.progress import track
from valm.errors import InputError, SourceError
from valm.ingest.picture_decoding import Rejected, decode_picture, encode_png, on_white
from valm.ingest.picture_hash import difference_hash, mean_colour
from valm.ingest.picture_sources import PICTURE_SOURCES, RawPicture
from valm.ingest.sources import raw_path

DIGITS_OF_SHARD, DIGITS_IN_SHARD = 5, 4

METADATA = pa.schema(
    [
        ("key", pa.string()),
        ("name", pa.string()),
        ("caption", pa.string()),
        ("captions", pa.list_(pa.string())),
        ("keywords", pa.list_(pa.string())),
        ("licence", pa.string()),
        ("origin", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("hash", pa.uint64()),
        ("colour", pa.list_(pa.uint8(), 3)),
    ]
)


def write_pictures(job: Job, *, source: str, raw: list[Path], output: Path) -> None:
    """Decode, shrink and shard every picture of a source; rejects are counted by reason.

    Args:
        source: Name of the picture source.
        raw: Manifests of its raw files.
        output: ``pictures.manifest.json``; the shards lie beside it.

    Raises:
        SourceError: A raw file is unavailable.
        InputError: Not one picture could be used, or a raw file is damaged.
    """
    plugin = PICTURE_SOURCES.get(source)
    storage = job.settings("ingest.pictures.storage", PictureStorage)
    files = _raw_files(plugin.raw, raw)
    rejected: Counter[str] = Counter()
    kept = _decoded(track(plugin.pictures(files), f"writing {source}", None, "pictures"), storage, rejected)
    shards: list[Path] = []
    rows = 0
    for number in range(10**DIGITS_OF_SHARD):
        batch = list(islice(kept, storage.samples_per_shard))
        if not batch:
            break
        rows += len(batch)
        shards += _write_shard(output.parent / f"{number:0{DIGITS_OF_SHARD}}", number, batch)
    if rows == 0:
        raise InputError(f"no picture of {source} could be used: {dict(rejected)}", where=source)
    job.finish(
        output,
        kind="picture_shards",
        rows=rows,
        files=shards,
        parents=raw,
        facts={"source": source, "shards": len(shards) // 2, "rejected": dict(sorted(rejected.items()))},
    )


def _raw_files(names: tuple[str, ...], manifests: list[Path]) -> dict[str, Path]:
    """Raw files by their names in the lock, from their manifests' file names."""
    by_name = {path.name.removesuffix(".manifest.json"): path for path in manifests}
    files = {}
    for name in names:
        path = raw_path(by_name[name]) if name in by_name else None
        if path is None:
            raise SourceError(f"the raw source {name!r} is unavailable", cure="fetch it first")
        files[name] = path
    return files


def _decoded(
    pictures: Iterator[RawPicture], storage: PictureStorage, rejected: Counter[str]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Metadata and PNG bytes of each usable picture, in order."""
    for picture in pictures:
        try:
            image = decode_picture(picture.data, storage.maximum_megapixels, storage.side_pixels)
        except Rejected as reason:
            rejected[str(reason)] += 1
            continue
        caption = picture.captions[0] if picture.captions else picture.name
        row = {
            "name": picture.name,
            "caption": caption,
            "captions": list(picture.captions),
            "keywords": list(picture.keywords),
            "licence": picture.licence,
            "origin": picture.origin,
            "width": image.width,
            "height": image.height,
            "hash": difference_hash(on_white(image)),
            "colour": mean_colour(on_white(image)),
        }
        yield row, encode_png(image)


def _write_shard(stem: Path, number: int, batch: list[tuple[dict[str, Any], bytes]]) -> list[Path]:
    """Write one tar and its parquet; no times or owners in it, so equal input gives equal bytes."""
    rows = []
    with atomic_path(stem.with_suffix(".tar")) as path, tarfile.open(path, "w") as tar:
        for place, (row, png) in enumerate(batch):
            key = f"{number:0{DIGITS_OF_SHARD}}{place:0{DIGITS_IN_SHARD}}"
            rows.append({"key": key} | row)
            _add(tar, f"{key}.png", png)
            _add(tar, f"{key}.txt", row["caption"].encode())
            _add(tar, f"{key}.json", canonical_json({"key": key} | row).encode())
    with atomic_path(stem.with_suffix(".parquet")) as path:
        pq.write_table(pa.Table.from_pylist(rows, METADATA), path)
    return [stem.with_suffix(".tar"), stem.with_suffix(".parquet")]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
