"""Writes a picture source as LAION-style shards: tar files in img2dataset's layout.

Later phases see exactly what a LAION download gives them: ``00000.tar`` with ``000000000.png``,
``.txt`` and ``.json`` a picture, and ``00000.parquet`` with the metadata of the shard.
"""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valm.config.ingest import PictureStorage
from valm.core.atomic import atomic_path
from valm.core.digest import canonical_json
from valm.core.job import Job
from valm.core.progress import track
from valm.errors import InputError, SourceError
from valm.ingest.picture_sources import PICTURE_SOURCES, RawPicture
from valm.ingest.pictures.decoding import Rejected, decode_picture, encode_png, on_white
from valm.ingest.pictures.near_duplicates import difference_hash, mean_colour
from valm.ingest.raw.sources import raw_path
from valm.ingest.text.cleaning import clean_text

KIND = "picture_shards"
DIGITS_OF_SHARD, DIGITS_IN_SHARD = 5, 4
LONGEST_CAPTION = 1000  # characters

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
    raw_pictures = track(plugin.pictures(files), f"writing {source}", None, "pictures")
    kept = decoded_pictures(raw_pictures, storage, rejected)
    shards: list[Path] = []
    licences: Counter[str] = Counter()
    rows = 0
    while first := next(kept, None):
        number = len(shards) // 2
        if number == 10**DIGITS_OF_SHARD:
            cure = "raise ingest.pictures.storage.samples_per_shard"
            raise InputError(f"{source} fills more than {number:,} shards", where=source, cure=cure)
        batch = islice(chain([first], kept), storage.samples_per_shard)
        written = write_shard(output.parent, number, batch)
        shards += written.files
        rows += written.rows
        licences.update(written.licences)
    check_rejected(rejected, rows, storage, where=source)
    if rows == 0:
        raise InputError(f"no picture of {source} could be used: {dict(rejected)}", where=source)
    remove_shards_but(shards, output.parent)
    job.finish(
        output,
        kind=KIND,
        rows=rows,
        files=shards,
        parents=raw,
        facts={
            "source": source,
            "shards": len(shards) // 2,
            "rejected": dict(sorted(rejected.items())),
            "licences": dict(sorted(licences.items())),
        },
    )


def check_rejected(rejected: Counter[str], kept: int, storage: PictureStorage, where: str) -> None:
    """Refuse a source or shard of which too much could not be used; a single picture never is too much.

    Raises:
        InputError: The share of rejected pictures is above ``maximum_reject_fraction``.
    """
    total = rejected.total()
    if total > max(1, storage.maximum_reject_fraction * (total + kept)):
        raise InputError(
            f"{total:,} of {total + kept:,} pictures could not be used: {dict(rejected)}",
            where=where,
            cure="see what came in, or raise ingest.pictures.storage.maximum_reject_fraction",
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


def decoded_pictures(
    pictures: Iterator[RawPicture], storage: PictureStorage, rejected: Counter[str]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Metadata and PNG bytes of each usable picture, in order; the others are counted by reason."""
    for picture in pictures:
        captions = _lines(picture.captions) or _lines([picture.name])
        try:
            if not captions:
                raise Rejected("no_caption")
            image = decode_picture(picture.data, storage.maximum_megapixels, storage.side_pixels)
        except Rejected as reason:
            rejected[str(reason)] += 1
            continue
        row = {
            "name": picture.name,
            "caption": captions[0],
            "captions": captions,
            "keywords": _lines(picture.keywords),
            "licence": picture.licence,
            "origin": picture.origin,
            "width": image.width,
            "height": image.height,
            "hash": difference_hash(on_white(image)),
            "colour": mean_colour(image),
        }
        yield row, encode_png(image)


def _lines(texts: Iterable[str]) -> list[str]:
    """Texts from outside as clean single lines; what is empty then is left out."""
    lines = (" ".join(clean_text(text, third_party=True).split()) for text in texts)
    return [line[:LONGEST_CAPTION] for line in lines if line]


def remove_shards_but(shards: list[Path], folder: Path) -> None:
    """Remove what an earlier run with other settings left beside the shards."""
    for old in folder.glob(f"{'[0-9]' * DIGITS_OF_SHARD}.*"):
        if old not in shards:
            old.unlink()


@dataclass(frozen=True)
class WrittenShard:
    """A shard's two files, its number of pictures and their licences."""

    files: list[Path]
    rows: int
    licences: Counter[str]


def write_shard(
    folder: Path, number: int, pictures: Iterable[tuple[dict[str, Any], bytes]]
) -> WrittenShard:
    """Write one tar and its parquet; no times or owners in it, so equal input gives equal bytes."""
    stem = folder / f"{number:0{DIGITS_OF_SHARD}}"
    rows = []
    with atomic_path(stem.with_suffix(".tar")) as path, tarfile.open(path, "w") as tar:
        for place, (row, png) in enumerate(pictures):
            key = f"{number:0{DIGITS_OF_SHARD}}{place:0{DIGITS_IN_SHARD}}"
            rows.append({"key": key} | row)
            _add(tar, f"{key}.png", png)
            _add(tar, f"{key}.txt", row["caption"].encode())
            _add(tar, f"{key}.json", canonical_json({"key": key} | row).encode())
    with atomic_path(stem.with_suffix(".parquet")) as path:
        pq.write_table(pa.Table.from_pylist(rows, METADATA), path)
    return WrittenShard(
        [stem.with_suffix(".tar"), stem.with_suffix(".parquet")],
        len(rows),
        Counter(row["licence"] for row in rows),
    )


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
