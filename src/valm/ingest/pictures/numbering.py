"""Numbers the pictures of all sources, marks near-duplicates, and reads pictures back by id.

The list is one parquet with a row for every stored picture. A kept picture's ``id`` is its row in
every table of vectors; a near-duplicate of an earlier picture gets -1 and names what it repeats.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from valm.config.ingest import Duplicates
from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.errors import InputError
from valm.ingest.pictures.decoding import on_white
from valm.ingest.pictures.repeats import Likeness, repeated_rows
from valm.ingest.pictures.write import DIGITS_OF_SHARD, METADATA
from valm.ingest.raw.archives import StrictHeader

MAXIMUM_PICTURE_BYTES = 16 << 20
DROPPED = -1
ROWS_OF_GROUP = 1 << 20
BATCH_ROWS = 8192
LISTED = pa.schema(
    [
        *METADATA,
        ("source", pa.string()),
        ("shard", pa.string()),
        ("id", pa.int32()),
        ("duplicate_of", pa.int32()),
        ("kept", pa.bool_()),
    ]
)


def list_pictures(job: Job, *, pictures: list[Path], output: Path) -> None:
    """Merge the shards' metadata in the order of the study's sources.

    Memory holds what finding repeats takes for each picture, and the metadata of one row group.

    Args:
        pictures: Manifests of the picture sources' shards, in any order.
        output: ``list.manifest.json``; ``list.parquet`` is written beside it.

    Raises:
        InputError: The shards of a source are not given, or their metadata are damaged, or they hold no
            picture.
    """
    duplicates = job.settings("ingest.pictures.duplicates", Duplicates)
    order = job.value("ingest.pictures.sources", list[str])
    by_source = {read_manifest(path, "picture_shards").facts["source"]: path for path in pictures}
    if missing := [source for source in order if source not in by_source]:
        raise InputError(f"no shards of {', '.join(missing)}", cure="hand over their manifests too")
    shards = [shard for source in order for shard in _shards(by_source[source], source)]
    hashes, colours, sizes = _likenesses(shards)
    if shards and not sum(sizes):
        raise InputError(
            f"the shards of {', '.join(order)} hold no picture",
            where="ingest.pictures.sources",
            cure="see in the shards' manifests why theirs were rejected, or name other sources",
        )
    ids, duplicate_of = number_pictures(hashes, colours, duplicates)
    data = output.with_name("list.parquet")
    with atomic_path(data) as path, pq.ParquetWriter(path, LISTED) as writer:
        for rows, table in _row_groups(shards):
            table = table.append_column("id", pa.array(ids[rows], pa.int32()))
            table = table.append_column("duplicate_of", pa.array(duplicate_of[rows], pa.int32()))
            table = table.append_column("kept", pa.array(ids[rows] != DROPPED))
            writer.write_table(table, ROWS_OF_GROUP)
    counts = dict.fromkeys(order, 0)
    ends = np.cumsum(sizes)
    for shard, size, end in zip(shards, sizes, ends, strict=True):
        counts[shard.source] += int((ids[end - size : end] != DROPPED).sum())
    kept = sum(counts.values())
    job.finish(
        output,
        kind="picture_list",
        rows=kept,
        files=[data],
        parents=pictures,
        facts={"stored": len(ids), "duplicates": len(ids) - kept, "kept_by_source": counts},
    )


def number_pictures(
    hashes: NDArray[np.uint64], colours: NDArray[np.uint8], limits: Duplicates
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Ids in order; a picture whose hash and colour are near an earlier kept one's gets -1.

    Args:
        hashes: [n] difference hashes.
        colours: [n, 3] mean colours.
        limits: Largest distances of duplicates.

    Returns:
        [n] ids and [n] ids of the repeated picture, -1 for kept pictures.
    """
    repeated = repeated_rows(Likeness(hashes, colours, limits))
    kept = repeated == np.arange(len(repeated))
    ids = np.where(kept, np.cumsum(kept) - 1, DROPPED).astype(np.int32)
    return ids, np.where(kept, np.int32(DROPPED), ids[repeated])


def read_picture_list(manifest: Path) -> pa.Table:
    """The whole list: one row for every stored picture, kept or not.

    Raises:
        InputError: It is missing or damaged.
    """
    read_manifest(manifest, kind="picture_list")
    return _read_parquet(manifest.with_name("list.parquet"))


def listed_rows(manifest: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Some columns of every stored picture, kept or not, in order; memory holds a few thousand rows.

    Raises:
        InputError: The list is missing or damaged.
    """
    read_manifest(manifest, kind="picture_list")
    path = manifest.with_name("list.parquet")
    with _readable(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def iterate_pictures(manifest: Path, first_id: int = 0) -> Iterator[tuple[int, Image.Image]]:
    """Yield id and picture (RGB on white) of every kept picture, in the order of ids.

    Args:
        manifest: The picture list's manifest; the shards lie beside it, by source.
        first_id: Start here, for runs that go on.
    """
    for picture_id, image in iterate_transparent_pictures(manifest, first_id):
        yield picture_id, on_white(image)


def iterate_transparent_pictures(
    manifest: Path, first_id: int = 0
) -> Iterator[tuple[int, Image.Image]]:
    """Like ``iterate_pictures``, but as stored: with its transparency, which tells the foreground.

    Raises:
        InputError: A shard is missing, cut off or damaged, or a stored picture is.
    """
    for picture_id, data in _encoded_pictures(manifest, None, first_id):
        try:
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            image.load()
        except Exception as error:  # damaged bytes make decoders raise anything
            what = f"stored picture {picture_id} is damaged: {error}"
            raise InputError(what, where=manifest, cure="run: valm verify") from error
        yield picture_id, image


def picture_bytes(manifest: Path, ids: Collection[int]) -> dict[int, bytes]:
    """The encoded bytes (PNG or JPEG) of some kept pictures, by id."""
    return dict(_encoded_pictures(manifest, set(ids), 0))


def _read_parquet(
    path: Path, schema: pa.Schema | None = None, columns: list[str] | None = None
) -> pa.Table:
    with _readable(path):
        return pq.read_table(path, schema=schema, columns=columns)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever goes wrong in a table becomes an error that names it."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        cure = "delete its manifest and run the study again"
        raise InputError(f"a table cannot be read: {error}", where=path, cure=cure) from error


@dataclass(frozen=True)
class _Shard:
    """One shard of a source, by its name; its metadata."""

    source: str
    name: str
    path: Path

    def rows(self) -> pa.Table:
        """Its metadata, with where they are from."""
        rows = _read_parquet(self.path, schema=METADATA)
        for column in ("source", "shard"):
            value = self.source if column == "source" else self.name
            rows = rows.append_column(column, pa.array([value] * len(rows), pa.string()))
        return rows


def _shards(manifest: Path, source: str) -> Iterator[_Shard]:
    for number in range(read_manifest(manifest).facts["shards"]):
        name = f"{number:0{DIGITS_OF_SHARD}}"
        yield _Shard(source, name, manifest.with_name(f"{name}.parquet"))


def _likenesses(
    shards: list[_Shard],
) -> tuple[NDArray[np.uint64], NDArray[np.uint8], list[int]]:
    """The hashes [n] and mean colours [n, 3] of all shards' pictures, and how many each shard has."""
    hashes, colours = [np.empty(0, np.uint64)], [np.empty((0, 3), np.uint8)]
    for shard in shards:
        table = _read_parquet(shard.path, schema=METADATA, columns=["hash", "colour"])
        hashes.append(table.column("hash").to_numpy())
        colours.append(table.column("colour").combine_chunks().flatten().to_numpy().reshape(-1, 3))
    sizes = [len(some) for some in hashes[1:]]
    return np.concatenate(hashes), np.concatenate(colours), sizes


def _row_groups(shards: list[_Shard]) -> Iterator[tuple[slice, pa.Table]]:
    """The shards' metadata, at most ``ROWS_OF_GROUP`` rows at a time, and which rows of all they are."""
    held: list[pa.Table] = []
    first = rows = 0
    for shard in shards:
        table = shard.rows()
        if held and rows + len(table) > ROWS_OF_GROUP:
            yield slice(first, first + rows), pa.concat_tables(held)
            first, rows, held = first + rows, 0, []
        held.append(table)
        rows += len(table)
    if held:
        yield slice(first, first + rows), pa.concat_tables(held)


def _encoded_pictures(
    manifest: Path, wanted: set[int] | None, first_id: int
) -> Iterator[tuple[int, bytes]]:
    """Stream the shards in order; each tar is opened once, and only if something in it is wanted."""
    places = listed_rows(manifest, ["source", "shard", "key", "id"])
    for (source, shard), rows in groupby(places, key=lambda row: row[:2]):
        ids = {
            key: picture_id
            for _, _, key, picture_id in rows
            if picture_id >= first_id and (wanted is None or picture_id in wanted)
        }
        if ids:
            yield from _shard_members(manifest.parent / source / f"{shard}.tar", ids)


def _shard_members(path: Path, ids: dict[str, int]) -> Iterator[tuple[int, bytes]]:
    """Id and bytes of the pictures with the given keys; one that is missing is an error."""
    left = dict(ids)
    with opened_shard(path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            if ending not in ("png", "jpg") or key not in left:
                continue
            if not member.isreg() or member.size > MAXIMUM_PICTURE_BYTES:
                raise tarfile.ReadError(f"{member.name!r} is no picture")
            file = tar.extractfile(member)
            assert file is not None  # isreg() was asked
            yield left.pop(key), file.read()
        if left:
            raise tarfile.ReadError(f"{len(left)} pictures are missing, {next(iter(left))!r} first")


@contextmanager
def opened_shard(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a shard; whatever goes wrong in it becomes an error that names the place."""
    cure = "delete the manifest beside it and run the study again"
    with ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(path, "r:", tarinfo=StrictHeader))
        except (OSError, tarfile.TarError) as error:
            raise InputError(f"a shard cannot be read: {error}", where=path, cure=cure) from error
        try:
            yield tar
        except (OSError, tarfile.TarError) as error:
            at = f"{path} near byte {tar.offset:,}"
            raise InputError(f"a damaged shard: {error}", where=at, cure=cure) from error
