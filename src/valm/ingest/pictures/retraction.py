"""``list-retracted``, ``valm retract``: pictures that have been taken down, a list that outlives what it is taken from.

``config/retracted.tsv`` has a line for each: its source and where in the source it came from, which stay the
same when pictures are numbered anew, sharded otherwise, or listed by another study. A picture that is
retracted keeps its id, and its row in every table of vectors, so that no other picture's moves; it
leaves the indices, with them all neighbours, and the reports.

Nothing in a line is quoted, and an address of the web may hold anything: white space of any kind counts as
one space, in the list and in what is compared with it, so that a line is a picture whatever it is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valm.core.atomic import write_array, write_text
from valm.core.job import Job
from valm.errors import InputError
from valm.ingest.pictures.numbering import listed_rows
from valm.ingest.pictures.retracted import KIND

MAXIMUM_BYTES = 1 << 30
LONGEST_ID = 18  # digits
Name = tuple[str, str]  # source, origin


def name_of(source: str, origin: str) -> Name:
    """A picture's name, as a line can hold it."""
    return " ".join(source.split()), " ".join(origin.split())


def read_retracted(file: Path) -> set[Name]:
    """The names of all retracted pictures; none if there is no such file.

    Raises:
        InputError: A line is not a source and an origin, or the file is no UTF-8.
    """
    if not file.is_file():
        return set()
    if file.stat().st_size > MAXIMUM_BYTES:
        raise InputError("a list of retracted pictures is larger than 1 GiB", where=file)
    names = set()
    for number, line in enumerate(read_lines(file), start=1):
        if not line.strip():
            continue
        source, tab, origin = line.partition("\t")
        if not tab or "\t" in origin:
            raise InputError(
                "a line is not a source, a tab and an origin",
                where=f"{file}:{number}",
                cure="add pictures by: valm retract --ids FILE",
            )
        names.add(name_of(source, origin))
    return names


def read_lines(file: Path) -> list[str]:
    """The lines of a text that people or their tables have written.

    Raises:
        InputError: It is no UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start:,} is no UTF-8", where=file, cure="save the file as UTF-8"
        ) from error


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
    """The ids of the pictures that bear some names, ascending; memory holds those and the names.

    Of a near-duplicate it is the id of what it repeats: a picture that was taken down does not come back
    under the name of another, which a source has that this study lists before.
    """
    rows = listed_rows(pictures, ["source", "origin", "id", "duplicate_of"]) if names else ()
    ids = {
        max(number, of) for source, origin, number, of in rows if name_of(source, origin) in names
    }
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
    asked: dict[int | Name, str] = {
        _asked(line): line for line in filter(None, (line.strip("\r\n ") for line in wanted))
    }
    known = read_retracted(file)
    columns = ["source", "origin", "id", "duplicate_of"]
    ids: set[int] = set()
    there: set[int | Name] = set()
    for source, origin, number, of in listed_rows(pictures, columns):
        picture, name = max(number, of), name_of(source, origin)
        if met := {picture, name} & asked.keys():
            ids.add(picture)
            there |= met
    if missing := [line for key, line in asked.items() if key not in there]:
        raise InputError(
            f"the study has no picture {missing[0]!r}",
            where=pictures,
            cure="give an id, or a source, a tab and an origin, as in list.parquet",
        )
    names = known | {
        name_of(source, origin)
        for source, origin, number, of in listed_rows(pictures, columns)
        if max(number, of) in ids
    }
    write_text(file, "".join(f"{source}\t{origin}\n" for source, origin in sorted(names)))
    return len(ids), len(names - known)


def _asked(line: str) -> int | Name:
    """The id, or the name, that a line asks for."""
    if line.isdecimal() and len(line) <= LONGEST_ID:
        return int(line)
    source, _, origin = line.partition("\t")
    return name_of(source, origin)
