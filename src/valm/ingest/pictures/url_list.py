"""``list-urls``: from metadata of the web's pictures to the addresses of each planned shard.

The metadata (LAION's parquet files, or tables of captions and addresses) are read as a stream. Rows that
pass the filters are sampled by the hash of their address and fill the shards in order; each shard is one
row group of ``urls.parquet``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from valm.config.base import Settings
from valm.core.atomic import atomic_path
from valm.core.digest import sha256_file
from valm.core.job import Job
from valm.core.progress import track
from valm.core.seeding import unit_interval
from valm.errors import InputError

KIND, FILE = "url_list", "urls.parquet"
SCHEMA = pa.schema([("url", pa.string()), ("caption", pa.string()), ("licence", pa.string())])
ROWS_PER_BATCH, READ_BYTES = 10_000, 1 << 20
LONGEST_URL, LONGEST_CAPTION = 2_000, 10_000  # characters
SCHEMES = ("http://", "https://")  # never file:// or ftp://, which a downloader would open too
BROKEN_TEXT = re.compile(
    "[\udc80-\udcff]"
)  # what surrogateescape makes of bytes that are not UTF-8
# Columns as LAION's releases name them, in lower case.
TEXTS = {
    "url": "url",
    "text": "caption",
    "caption": "caption",
    "license": "licence",
    "nsfw": "nsfw",
}
NUMBERS = {"width": "width", "height": "height", "similarity": "similarity", "punsafe": "unsafe"}


class MetadataFilters(Settings):
    """Which rows of the metadata are taken; what a row does not state, no filter asks of it."""

    minimum_side_pixels: int = Field(0, ge=0, description="Shorter side.")
    largest_aspect: float | None = Field(None, ge=1, description="Longer side over the shorter.")
    minimum_similarity: float | None = Field(
        None, description="Of picture and caption, as LAION states it."
    )
    nsfw_tags: list[str] | None = Field(
        None, description="Tags of LAION's NSFW column that are taken; null: all."
    )
    maximum_unsafe: float | None = Field(
        None, ge=0, le=1, description="Largest probability of being unsafe (LAION-5B's punsafe)."
    )
    licences: list[str] | None = Field(
        None, description="Values of the licence column that are taken; null: all."
    )


class Download(Settings):
    """How pictures are downloaded; servers that opt out by their headers are left alone."""

    side_pixels: int = Field(384, ge=16, description="Longer side of a kept picture.")
    timeout_seconds: int = Field(10, ge=1, description="Longest wait for a server.")
    retries: int = Field(1, ge=0, description="Further attempts at an address.")
    connections: int = Field(32, ge=1, description="Downloads at a time in one job.")
    memory_gib: int = Field(8, ge=1, description="Memory above which a download is given up.")
    maximum_lost_fraction: float = Field(
        0.9, ge=0, le=1, description="Share of lost addresses above which a shard fails."
    )


class UrlParams(Settings):
    """A picture source whose pictures lie at addresses, or in shards that were downloaded before."""

    metadata: list[Path] = Field([], description="LAION's parquet files, in order.")
    shards: int = Field(ge=1, le=100_000, description="Shards that are planned.")
    addresses_per_shard: int = Field(10_000, ge=1, le=10_000, description="Rows of a full shard.")
    fraction: float = Field(1.0, gt=0, le=1, description="Share of the rows, by hash of address.")
    where: MetadataFilters = Field(default_factory=MetadataFilters, description="Rows to take.")
    download: Download = Field(default_factory=Download, description="How to download.")
    downloaded: Path | None = Field(
        None, description="Folder of img2dataset's shards that are there: nothing is downloaded."
    )
    licence: str = Field("", description="Licence of pictures whose row states none.")


class Row(NamedTuple):
    """One row of the metadata; None where it states nothing."""

    url: str | None
    caption: str | None
    licence: str | None
    nsfw: str | None = None
    width: float | None = None
    height: float | None = None
    similarity: float | None = None
    unsafe: float | None = None


def list_urls(job: Job, *, source: str, output: Path) -> None:
    """Write ``urls.parquet``; what happened to every row is counted.

    Args:
        source: Name of the picture source.
        output: ``urls.manifest.json``.

    Raises:
        InputError: A metadata file is missing or damaged, or has not the columns it should have.
    """
    params = UrlParams.model_validate(job.section["ingest.pictures.params"][source])
    counts: Counter[str] = Counter()
    rows = (row for file in params.metadata for row in _rows(file))
    taken = _taken(track(rows, "reading metadata", None, "rows"), params, counts)
    target, listed = output.with_name(FILE), 0
    with job.work():
        with atomic_path(target) as path, pq.ParquetWriter(path, SCHEMA) as writer:
            for _ in range(params.shards):
                batch = list(islice(taken, params.addresses_per_shard))
                columns = zip(
                    *((r.url, r.caption, r.licence or params.licence) for r in batch), strict=True
                )
                arrays = [pa.array(c, pa.string()) for c in columns] or [
                    pa.array([], pa.string())
                ] * 3
                writer.write_table(
                    pa.Table.from_arrays(arrays, schema=SCHEMA), row_group_size=1 << 20
                )
                listed += len(batch)
        for _ in taken:
            counts["beyond_the_shards"] += 1
        job.finish(
            output,
            kind=KIND,
            rows=listed,
            files=[target],
            facts={
                "source": source,
                "shards": params.shards,
                "read": listed + counts.total(),
                "left_out": dict(sorted(counts.items())),
                "metadata": [
                    {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256_file(file)}
                    for file in params.metadata
                ],
            },
        )


def urls_of_shard(manifest: Path, shard: int) -> pa.Table:
    """Addresses, captions and licences of one shard."""
    return pq.ParquetFile(manifest.with_name(FILE)).read_row_group(shard)


def _taken(rows: Iterator[Row], params: UrlParams, counts: Counter[str]) -> Iterator[Row]:
    for row in rows:
        reason = _why_not(row, params.where)
        if reason is None and unit_interval(row.url or "", "sample") >= params.fraction:
            reason = "not_sampled"
        if reason is None:
            yield row
        else:
            counts[reason] += 1


def _why_not(row: Row, where: MetadataFilters) -> str | None:
    """Reason code of a row that is not taken, or None."""
    if BROKEN_TEXT.search(f"{row.url}{row.caption}{row.licence}"):
        return "not_utf8"
    if not row.url or not row.url.startswith(SCHEMES) or len(row.url) > LONGEST_URL:
        return "no_address"
    if not row.caption or not row.caption.strip() or len(row.caption) > LONGEST_CAPTION:
        return "no_caption"
    if row.width is not None and row.height is not None:
        short, long = sorted((row.width, row.height))
        if short < where.minimum_side_pixels or short <= 0:
            return "too_small"
        if where.largest_aspect is not None and long > where.largest_aspect * short:
            return "too_long"
    if where.minimum_similarity is not None and row.similarity is not None:
        if row.similarity < where.minimum_similarity:
            return "not_similar"
    if where.maximum_unsafe is not None and row.unsafe is not None:
        if row.unsafe > where.maximum_unsafe:
            return "unsafe"
    if where.nsfw_tags is not None and row.nsfw not in where.nsfw_tags:
        return "unsafe"
    if where.licences is not None and row.licence not in where.licences:
        return "licence"
    return None


def _rows(file: Path) -> Iterator[Row]:
    if not file.is_file():
        raise InputError("a metadata file is missing", where=file, cure="put it there")
    yield from (_parquet_rows if file.suffix == ".parquet" else _table_rows)(file)


def _table_rows(file: Path) -> Iterator[Row]:
    """Rows of Conceptual Captions' tables: caption, tab, address; no header."""
    with file.open("rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(1 << 16), b""), 1):
            cells = line.decode("utf-8", "surrogateescape").rstrip("\n").split("\t")
            if len(cells) != 2:
                raise InputError(
                    f"line {number:,} has {len(cells)} columns, not caption and address", where=file
                )
            yield Row(url=cells[1], caption=cells[0], licence=None)


def _parquet_rows(file: Path) -> Iterator[Row]:
    """Rows of a parquet file, as a stream of batches."""
    try:
        # Without these two, a row group's columns would lie in memory.
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=READ_BYTES)
        names = _columns(parquet.schema_arrow, file)
        for batch in parquet.iter_batches(ROWS_PER_BATCH, columns=list(names)):
            columns = {names[name]: _values(batch.column(name)) for name in names}
            for values in zip(*columns.values(), strict=True):
                yield Row(**{"licence": None} | dict(zip(columns, values, strict=True)))
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"a metadata file cannot be read: {error}", where=file, cure="fetch it again"
        ) from error


def _values(column: pa.Array) -> list[Any]:
    """A column's numbers or texts; bytes that are not UTF-8 stay in a text as lone surrogates."""
    is_text = _is_text(column.type)
    found: list[Any] = (column.cast(pa.large_binary()) if is_text else column).to_pylist()
    if not is_text:
        return found
    return [text if text is None else text.decode("utf-8", "surrogateescape") for text in found]


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _columns(schema: pa.Schema, file: Path) -> dict[str, str]:
    """The columns of a file that are read, by what they are here.

    Raises:
        InputError: Address or caption is missing, or a column has another type than it should.
    """
    found: dict[str, str] = {}
    for column in schema:
        lower = column.name.lower()
        text, number = lower in TEXTS, lower in NUMBERS
        kind = column.type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not (text or number) or pa.types.is_null(kind):
            continue  # not read, or it states nothing
        if (text and not _is_text(kind)) or (number and not is_number):
            raise InputError(f"the column {column.name!r} holds {kind}", where=file)
        found[column.name] = (TEXTS | NUMBERS)[lower]
    for needed in ("url", "caption"):
        if needed not in found.values():
            raise InputError(
                f"the metadata have no column of {needed}s, only {', '.join(schema.names)}",
                where=file,
            )
    return found
