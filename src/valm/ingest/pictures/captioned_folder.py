"""A collection of picture files with a table that captions them, as the mirror lays them out."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from valm.errors import InputError

TABLE = "pairs.tsv"
MAXIMUM_TABLE_BYTES = 16 << 20
MAXIMUM_PICTURE_BYTES = 32 << 20


@dataclass(frozen=True)
class Captioned:
    """One picture file with the rows of the table that name it."""

    data: bytes
    file: str
    rows: Sequence[dict[str, str]]


def captioned_pictures(folder: Path) -> Iterator[Captioned]:
    """Yield each picture of the folder's table, in the table's order.

    Raises:
        InputError: The table or a picture is too large, or names no file of the folder.
    """
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    table = _read(folder / TABLE, MAXIMUM_TABLE_BYTES).decode("utf-8")
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        rows[row["image"].rpartition("/")[2]].append(row)  # a plain name cannot leave the folder
    for file, found in rows.items():
        yield Captioned(_read(folder / file, MAXIMUM_PICTURE_BYTES), file, found)


def _read(path: Path, maximum_bytes: int) -> bytes:
    if not path.is_file():
        raise InputError("a file of the collection is missing", where=path, cure="fetch it again")
    if path.stat().st_size > maximum_bytes:
        raise InputError(f"the file is larger than {maximum_bytes:,} bytes", where=path)
    return path.read_bytes()
