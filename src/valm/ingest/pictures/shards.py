"""``write-picture-shard`` and ``gather-pictures``: sources of any size, one shard a job."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valm.config.ingest import PictureStorage
from valm.config.source_params import source_params
from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.progress import track
from valm.errors import ConfigError
from valm.ingest.picture_sources import PICTURE_SOURCES, PlannedShards
from valm.ingest.pictures.write import KIND, check_rejected, decoded_pictures, write_shard

SHARD_KIND = "picture_shard"
TABLE = "shards.parquet"
SHARDS = pa.schema(
    [
        ("shard", pa.string()),
        ("pictures", pa.int32()),
        ("rejected", pa.int32()),
        ("lost", pa.int32()),
        ("tar_sha256", pa.string()),
        ("parquet_sha256", pa.string()),
    ]
)


def planned_shards(source: str) -> PlannedShards:
    """What a source says of its shards.

    Raises:
        ConfigError: It has none.
    """
    planned = PICTURE_SOURCES.get(source).planned
    if planned is None:
        raise ConfigError(f"{source!r} has no shards of its own", cure="run write-pictures")
    return planned


def write_picture_shard(
    job: Job, *, source: str, shard: int, downloaded: Path | None, output: Path
) -> None:
    """Decode, shrink and write one shard; what cannot be used is counted by reason.

    A shard may hold no picture, since nobody knows what the web still gives.

    Args:
        source: Name of the picture source.
        shard: Number of the shard.
        downloaded: Manifest of its download, if it has one.
        output: ``NNNNN.manifest.json``; the tar and its parquet lie beside it.

    Raises:
        InputError: The shard is damaged, or more of it was rejected than the configuration allows.
    """
    planned = planned_shards(source)
    given = job.value("ingest.pictures.params", dict[str, dict[str, Any]]).get(source, {})
    params = source_params(planned.params, given, f"ingest.pictures.params.{source}")
    storage = job.settings("ingest.pictures.storage", PictureStorage)
    facts: dict[str, Any] = {"listed": None, "lost": {}}
    tar = None
    if downloaded is not None:
        facts = read_manifest(downloaded).facts
        tar = downloaded.with_name(f"{shard:05d}.tar")
    parents = [downloaded] if downloaded else []
    rejected: Counter[str] = Counter()
    raw = track(planned.pictures(params, shard, tar, rejected), f"shard {shard}", None, "pictures")
    with job.work(parents):
        written = write_shard(output.parent, shard, decoded_pictures(raw, storage, rejected))
        check_rejected(rejected, written.rows, storage, where=f"{source}, shard {shard}")
        job.finish(
            output,
            kind=SHARD_KIND,
            rows=written.rows,
            files=written.files,
            parents=parents,
            facts={
                "source": source,
                "listed": facts["listed"],
                "lost": facts["lost"],
                "rejected": dict(sorted(rejected.items())),
                "licences": dict(sorted(written.licences.items())),
            },
        )


def gather_pictures(job: Job, *, source: str, shards: int, output: Path) -> None:
    """Write ``shards.parquet``, the frozen list of a source's shards with their hashes.

    Args:
        source: Name of the picture source.
        shards: Their number; their manifests lie beside the output.
        output: ``pictures.manifest.json``.
    """
    rows = []
    totals: dict[str, Counter[str]] = {name: Counter() for name in ("rejected", "lost", "licences")}
    listed = 0
    for number in range(shards):
        name = f"{number:05d}"
        made = read_manifest(output.with_name(f"{name}.manifest.json"), SHARD_KIND)
        for key, counter in totals.items():
            counter.update(made.facts[key])
        listed += made.facts["listed"] or 0
        rows.append(
            {
                "shard": name,
                "pictures": made.rows,
                "rejected": sum(made.facts["rejected"].values()),
                "lost": sum(made.facts["lost"].values()),
                "tar_sha256": made.files[f"{name}.tar"].sha256,
                "parquet_sha256": made.files[f"{name}.parquet"].sha256,
            }
        )
    table = output.with_name(TABLE)
    with atomic_path(table) as path:
        pq.write_table(pa.Table.from_pylist(rows, SHARDS), path)
    job.finish(
        output,
        kind=KIND,
        rows=sum(row["pictures"] for row in rows),
        files=[table],
        facts={"source": source, "shards": shards, "listed": listed}
        | {key: dict(sorted(counter.items())) for key, counter in totals.items()},
    )
