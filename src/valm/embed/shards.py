"""``valm embed-shards``: the vectors of picture shards as a download leaves them, at any number.

A study's own pictures go through ``write-pictures`` and ``embed-pictures``. A base of hundreds of millions
is embedded from the tar files that img2dataset wrote, without a second copy of its pictures. For
``00000.tar`` this writes, beside the shards of the output,

* ``00000.npy``: float16 [n, E], the unit keys of the pictures that could be used;
* ``00000.parquet``: a row for every sample: its key, its row among the vectors and its length before
  it was made a unit vector, or the reason code of its rejection;
* ``00000.manifest.json``, last.

A shard whose manifest was made from a tar of this size by this encoder is skipped, so a killed run goes on at the next
shard, and several processes, on one machine or on many that share the folder, take turns: each works
on every n-th. When all are done the vectors are gathered into the tables that ``build-index`` reads.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from valm.core.atomic import atomic_path, require_space, write_array
from valm.core.digest import digest_data
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import Manifest, read_manifest, verify_files
from valm.core.progress import Tracker
from valm.embed.batches import batches
from valm.embed.encoder import KIND, PictureVectors, PixelEncoder, load_encoder
from valm.embed.picture_form import Decoded, Decoders
from valm.errors import ConfigError, InputError
from valm.ingest.pictures.numbering import MAXIMUM_PICTURE_BYTES, opened_shard
from valm.ingest.pictures.tars import whole_text

SHARD_KIND = "shard_vectors"
ENDINGS = ("jpg", "jpeg", "png", "webp", "gif")
ROWS = pa.schema(
    [("key", pa.string()), ("row", pa.int32()), ("norm", pa.float32()), ("rejected", pa.string())]
)


def embed_shards(
    job: Job,
    *,
    shards: Path,
    encoder: Path,
    output: Path,
    workers: int,
    part: tuple[int, int] = (1, 1),
) -> None:
    """Embed a folder of tar shards; write ``keys.npy``, ``norms.npy`` and ``values.npy`` when all are done.

    Args:
        shards: Folder of ``*.tar``.
        encoder: Manifest of an encoder that reads pixels.
        output: ``vectors.manifest.json``; what belongs to a shard lies in ``shards/`` beside it.
        workers: Decoding processes.
        part: (i, n): work on the i-th of every n shards, counted from 1.

    Raises:
        ConfigError: The encoder reads no pixels.
        InputError: There are no shards, or some are damaged; all others are done then.
        IntegrityError: The vectors of a shard are not those that its manifest states.
    """
    torch.set_num_threads(job.threads)
    loaded = load_encoder(encoder)
    if not isinstance(loaded, PixelEncoder):
        raise ConfigError(
            "the encoder reads no pixels", where=encoder, cure="use an open_clip encoder"
        )
    tars = sorted(shards.glob("*.tar"))
    if not tars:
        raise InputError("there are no tar files", where=shards, cure="name a folder of shards")
    folder = output.parent / "shards"
    damaged: list[InputError] = []
    mine = tars[part[0] - 1 :: part[1]]
    form = loaded.picture_form(job.value("maximum_megapixels", float))
    with Tracker("embedding", len(mine), "shards") as tracker, Decoders(form, workers) as decoders:
        for tar in mine:
            target = folder / f"{tar.stem}.manifest.json"
            if not _is_done(target, job, tar, encoder):
                try:
                    _embed_shard(job, tar, encoder, loaded, decoders, target)
                except InputError as error:
                    damaged.append(error)
                    logger.warning("%s", error)
            tracker.advance()
    if damaged:
        raise InputError(
            f"{len(damaged)} of {len(mine)} shards cannot be read; first: {damaged[0]}",
            where=shards,
            cure="fetch or remove them and run the same command again",
        )
    manifests = [folder / f"{tar.stem}.manifest.json" for tar in tars]
    each = zip(manifests, tars, strict=True)
    left = sum(not _is_done(manifest, job, tar, encoder) for manifest, tar in each)
    if left:
        logger.info("%s shards are left to the other parts", f"{left:,}")
        return
    gather(job, manifests, encoder, loaded, output)


def gather(
    job: Job, manifests: list[Path], encoder: Path, loaded: PixelEncoder, output: Path
) -> None:
    """Write the vectors of all shards, in their order, as the tables of ``embed-pictures``.

    ``pictures.parquet`` says which sample each row is. Memory holds one shard.
    """
    made = [verify_files(manifest) for manifest in manifests]
    rows, width = sum(one.rows for one in made), loaded.key_width
    paths = {name: output.with_name(f"{name}.npy") for name in ("keys", "norms", "values")}
    listed = output.with_name("pictures.parquet")
    rejected: Counter[str] = Counter()
    for one in made:
        rejected.update(one.facts["rejected"])
    if rows == 0:
        raise InputError(f"not one picture could be used: {dict(rejected)}", where=output)
    require_space(output, rows * (4 * width + 4))
    with (
        atomic_path(paths["keys"]) as keys_path,
        atomic_path(paths["norms"]) as norms_path,
        atomic_path(paths["values"]) as values_path,
        atomic_path(listed) as listed_path,
        pq.ParquetWriter(
            listed_path, pa.schema([("shard", pa.string()), ("key", pa.string())])
        ) as pictures,
    ):
        keys = open_memmap(keys_path, "w+", np.dtype(np.float16), (rows, width))
        norms = open_memmap(norms_path, "w+", np.dtype(np.float32), (rows,))
        values = open_memmap(values_path, "w+", np.dtype(np.float16), (rows, width))
        first = 0
        for manifest, one in zip(manifests, made, strict=True):
            block = slice(first, first + one.rows)
            table = pq.read_table(_beside(manifest, ".parquet"), schema=ROWS)
            kept = table.filter(pa.compute.is_valid(table["row"]))
            keys[block] = np.load(_beside(manifest, ".npy"), mmap_mode="r", allow_pickle=False)
            norms[block] = kept["norm"].to_numpy()
            values[block] = loaded.values_of(keys[block], norms[block])
            shard = pa.array([_stem(manifest)] * one.rows, pa.string())
            pictures.write_table(pa.table({"shard": shard, "key": kept["key"]}))
            first += one.rows
        for array in (keys, norms, values):
            array.flush()
    job.finish(
        output,
        kind="vectors",
        rows=rows,
        files=[*paths.values(), listed],
        parents=[encoder],
        facts={
            "key_width": width,
            "value_width": loaded.value_width,
            "dtype": "float16",
            "encoder": read_manifest(encoder, KIND).facts["encoder"],
            "shards": len(made),
            "shards_digest": digest_data([one.digest for one in made]),
            "samples": sum(one.facts["samples"] for one in made),
            "rejected": dict(sorted(rejected.items())),
        },
    )


def _beside(manifest: Path, ending: str) -> Path:
    return manifest.with_name(_stem(manifest) + ending)


def _stem(manifest: Path) -> str:
    return manifest.name.removesuffix(".manifest.json")


def _is_done(manifest: Path, job: Job, tar: Path, encoder: Path) -> bool:
    """Whether a shard was embedded from a tar of this size, by this encoder and this code."""
    if not manifest.is_file():
        return False
    found = read_manifest(manifest, SHARD_KIND)
    return (
        found.facts["tar_bytes"] == tar.stat().st_size
        and (found.config_digest, found.code_digest) == (job.config_digest, job.code)
        and read_manifest(encoder).digest in found.parents.values()
    )


def _embed_shard(
    job: Job,
    tar: Path,
    encoder: Path,
    loaded: PixelEncoder,
    decoders: Decoders,
    target: Path,
) -> Manifest:
    samples: list[Decoded] = []  # without their pixels
    found: list[PictureVectors] = []
    for batch in batches(decoders.decoded(_samples(tar)), loaded.pictures_per_batch):
        pixels = [sample.pixels for sample in batch if sample.pixels is not None]
        if pixels:
            found.append(loaded.encode_pixels(np.stack(pixels)))
        samples += [Decoded(sample.key, None, sample.reason) for sample in batch]
    keys = np.concatenate([np.empty((0, loaded.key_width)), *(f.keys for f in found)])
    norms = np.concatenate([np.empty(0, np.float32), *(f.norms for f in found)])
    write_array(_beside(target, ".npy"), keys.astype(np.float16))
    table = _table(samples, norms)
    with atomic_path(_beside(target, ".parquet")) as path:
        pq.write_table(table, path)
    rejected = Counter(sample.reason for sample in samples if sample.reason)
    return job.finish(
        target,
        kind=SHARD_KIND,
        rows=len(keys),
        files=[_beside(target, ".npy"), _beside(target, ".parquet")],
        parents=[encoder],
        facts={
            "samples": len(samples),
            "rejected": dict(sorted(rejected.items())),
            "tar_bytes": tar.stat().st_size,
        },
    )


def _table(samples: list[Decoded], norms: NDArray[np.float32]) -> pa.Table:
    used = np.array([sample.reason is None for sample in samples], np.bool_)
    rows = np.cumsum(used) - 1
    lengths = np.zeros(len(samples), np.float32)
    lengths[used] = norms
    columns: dict[str, Any] = {
        "key": [sample.key for sample in samples],
        "row": pa.array(rows, pa.int32(), mask=~used),
        "norm": pa.array(lengths, pa.float32(), mask=~used),
        "rejected": [sample.reason for sample in samples],
    }
    return pa.table(columns, schema=ROWS)


def _samples(path: Path) -> Iterator[tuple[str, bytes | str]]:
    """Key and encoded bytes of every picture of a tar, or why there are none; read as a stream."""
    with opened_shard(path) as tar:
        for member in tar:
            key, _, ending = whole_text(member.name).rpartition(".")
            if ending.lower() not in ENDINGS:
                continue
            if not member.isreg():
                yield key, "not_a_file"
            elif member.size > MAXIMUM_PICTURE_BYTES:
                yield key, "too_many_bytes"
            else:
                yield key, _bytes(tar, member)


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # it is a plain file
    return file.read()
