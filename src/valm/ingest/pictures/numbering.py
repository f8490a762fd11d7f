"""Numbers the pictures of all sources, marks near-duplicates, and reads pictures back by id.

The list is one parquet with a row for every stored picture. A kept picture's ``id`` is its row in
every table of vectors; a near-duplicate of an earlier picture gets -1 and names what it repeats.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

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
from valm.ingest.pictures.near_duplicates import distances
from valm.ingest.pictures.write import DIGITS_OF_SHARD, METADATA
from valm.ingest.raw.archives import StrictHeader

MAXIMUM_PICTURE_BYTES = 16 << 20
DROPPED = -1


def list_pictures(job: Job, *, pictures: list[Path], output: Path) -> None:
    """Merge the shards' metadata in the order of the study's sources.

    Args:
        pictures: Manifests of the picture sources' shards, in any order.
        output: ``list.manifest.json``; ``list.parquet`` is written beside it.

    Raises:
        InputError: The shards of a source are not given, or their metadata are damaged.
    """
    duplicates = job.settings("ingest.pictures.duplicates", Duplicates)
    order = job.value("ingest.pictures.sources", list[str])
    by_source = {read_manifest(path, "picture_shards").facts["source"]: path for path in pictures}
    if missing := [source for source in order if source not in by_source]:
        raise InputError(f"no shards of {', '.join(missing)}", cure="hand over their manifests too")
    table = pa.concat_tables([_source_rows(by_source[source], source) for source in order])
    hashes = table.column("hash").to_numpy()
    colours = np.array(table.column("colour").to_pylist(), dtype=np.int16)
    ids, duplicate_of = number_pictures(hashes, colours, duplicates)
    table = table.append_column("id", pa.array(ids, pa.int32()))
    table = table.append_column("duplicate_of", pa.array(duplicate_of, pa.int32()))
    table = table.append_column("kept", pa.array(ids != DROPPED))
    data = output.with_name("list.parquet")
    with atomic_path(data) as path:
        pq.write_table(table, path)
    kept = int((ids != DROPPED).sum())
    counts = {source: _kept_of(table, source) for source in order}
    job.finish(
        output,
        kind="picture_list",
        rows=kept,
        files=[data],
        parents=pictures,
        facts={"stored": len(ids), "duplicates": len(ids) - kept, "kept_by_source": counts},
    )


def number_pictures(
    hashes: NDArray[np.uint64], colours: NDArray[np.int16], limits: Duplicates
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Ids in order; a picture whose hash and colour are near an earlier kept one's gets -1.

    Args:
        hashes: [n] difference hashes.
        colours: [n, 3] mean colours, 0..255.
        limits: Largest distances of duplicates.

    Returns:
        [n] ids and [n] ids of the repeated picture, -1 for kept pictures.
    """
    ids = np.full(len(hashes), DROPPED, dtype=np.int32)
    duplicate_of = np.full(len(hashes), DROPPED, dtype=np.int32)
    kept = np.empty(len(hashes), dtype=np.int64)
    count = 0
    for row in range(len(hashes)):
        earlier = kept[:count]
        near = distances(hashes[earlier], int(hashes[row])) <= limits.distance_bits
        shift = np.abs(colours[earlier] - colours[row]).max(axis=1, initial=0)
        repeated = np.flatnonzero(near & (shift <= limits.colour_distance))
        if len(repeated):
            duplicate_of[row] = repeated[0]
        else:
            ids[row], kept[count] = count, row
            count += 1
    return ids, duplicate_of


def read_picture_list(manifest: Path) -> pa.Table:
    """The whole list: one row for every stored picture, kept or not.

    Raises:
        InputError: It is missing or damaged.
    """
    read_manifest(manifest, kind="picture_list")
    return _read_parquet(manifest.with_name("list.parquet"))


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


def _read_parquet(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    try:
        return pq.read_table(path, schema=schema)
    except (OSError, pa.ArrowException) as error:
        cure = "delete its manifest and run the study again"
        raise InputError(f"a table cannot be read: {error}", where=path, cure=cure) from error


def _source_rows(manifest: Path, source: str) -> pa.Table:
    tables = []
    for number in range(read_manifest(manifest).facts["shards"]):
        name = f"{number:0{DIGITS_OF_SHARD}}"
        rows = _read_parquet(manifest.with_name(f"{name}.parquet"), METADATA)
        shard = pa.array([name] * len(rows), pa.string())
        rows = rows.append_column("source", pa.array([source] * len(rows), pa.string()))
        tables.append(rows.append_column("shard", shard))
    return pa.concat_tables(tables)


def _kept_of(table: pa.Table, source: str) -> int:
    kept = np.asarray(table.column("kept")) & (np.asarray(table.column("source")) == source)
    return int(kept.sum())


def _encoded_pictures(
    manifest: Path, wanted: set[int] | None, first_id: int
) -> Iterator[tuple[int, bytes]]:
    """Stream the shards in order; each tar is opened once, and only if something in it is wanted."""
    table = read_picture_list(manifest)
    columns = [table.column(name).to_pylist() for name in ("source", "shard", "key", "id")]
    by_shard: dict[tuple[str, str], dict[str, int]] = {}
    for source, shard, key, picture_id in zip(*columns, strict=True):
        asked = wanted is None or picture_id in wanted
        if picture_id >= first_id and asked:
            by_shard.setdefault((source, shard), {})[key] = picture_id
    for (source, shard), ids in by_shard.items():
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
