"""``list-retracted``, ``valm retract``: pictures that have been taken down, a list that outlives what it is taken from.

``config/retracted.tsv`` has a line for each: its source and where in the source it came from, which stay the
same when pictures are numbered anew, sharded otherwise, or listed by another study. A picture that is
retracted keeps its id, and its row in every table of vectors, so that no other picture's moves; it
leaves the indices, with them all neighbours, and the reports.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valm.core.atomic import write_array, write_text
from valm.core.job import Job
from valm.errors import InputError
from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.pictures.retracted import KIND

MAXIMUM_BYTES = 64 << 20
Name = tuple[str, str]  # source, origin


def read_retracted(file: Path) -> set[Name]:
    """The names of all retracted pictures; none if there is no such file.

    Raises:
        InputError: A line is not a source and an origin.
    """
    if not file.is_file():
        return set()
    if file.stat().st_size > MAXIMUM_BYTES:
        raise InputError("a list of retracted pictures is larger than 64 MiB", where=file)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))
    names = set()
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise InputError(
                "a line is not a source, a tab and an origin",
                where=f"{file}:{number}",
                cure="add pictures by: valm retract --ids FILE",
            )
        names.add((row[0], row[1]))
    return names


def list_retracted(job: Job, *, pictures: Path, file: Path | None, output: Path) -> None:
    """Write ``retracted.npy``: the ids of the study's retracted pictures, int64, ascending.

    Args:
        pictures: Manifest of the picture list.
        file: ``retracted.tsv``; None: nothing is retracted. Other studies' pictures are passed over.
        output: ``retracted.manifest.json``.
    """
    ids = listed_ids(pictures, set() if file is None else read_retracted(file))
    data = output.with_name(f"{KIND}.npy")
    write_array(data, ids)
    job.finish(output, kind=KIND, rows=len(ids), files=[data], parents=[pictures])


def listed_ids(pictures: Path, names: set[Name]) -> NDArray[np.int64]:
    """The ids of the kept pictures that bear some names, ascending."""
    columns = read_picture_list(pictures).select(["source", "origin", "id", "kept"]).to_pydict()
    rows = zip(*columns.values(), strict=True)
    ids = [number for source, origin, number, kept in rows if kept and (source, origin) in names]
    return np.array(sorted(ids), np.int64)


def retract(file: Path, pictures: Path, wanted: Iterable[str]) -> tuple[int, int]:
    """Add pictures to the list of retracted ones.

    A picture takes with it the near-duplicates of it that the study had dropped: if its source is
    listed anew without it, none of them comes in its place.

    Args:
        file: ``retracted.tsv``; it is written anew, sorted.
        pictures: Manifest of the picture list.
        wanted: A line for each picture: its id, or its source, a tab and its origin.

    Returns:
        How many of the study's pictures were asked for, and how many names are new to the list.

    Raises:
        InputError: The study has no such picture; nothing is written then.
    """
    columns = ["source", "origin", "id", "duplicate_of"]
    rows = list(zip(*read_picture_list(pictures).select(columns).to_pydict().values(), strict=True))
    by_name = {(source, origin): max(number, of) for source, origin, number, of in rows}
    ids, listed = set(), set(by_name.values())
    for line in filter(None, (line.strip("\r\n ") for line in wanted)):
        source, _, origin = line.partition("\t")
        number = int(line) if line.isdecimal() else by_name.get((source, origin), -1)
        if number not in listed:
            raise InputError(
                f"the study has no picture {line!r}",
                where=pictures,
                cure="give an id, or a source, a tab and an origin, as in list.parquet",
            )
        ids.add(number)
    known = read_retracted(file)
    names = known | {name for name, number in by_name.items() if number in ids}
    write_text(file, "".join(f"{source}\t{origin}\n" for source, origin in sorted(names)))
    return len(ids), len(names - known)
