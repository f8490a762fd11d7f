"""Reads the tasks' published files; whatever is wrong with one is told with file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from valm.core.registry import did_you_mean
from valm.core.seeding import unit_interval
from valm.errors import InputError

MAXIMUM_BYTES = 256 << 20  # DBPedia's whole test set has 21 MB
CURE = "fetch the file anew: what is pinned reads well"


class Row(NamedTuple):
    """One record of a file.

    Attributes:
        where: File and line, for errors.
        values: Its fields by name.
    """

    where: str
    values: dict[str, str]


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a text that are not blank, each with its place ("file:3").

    Raises:
        InputError: The file is too large, empty, or not UTF-8.
    """
    lines = _text(path).split("\n")
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def read_table(
    path: Path, columns: Sequence[str], *, header: bool = True, may_be_empty: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a CSV file; see ``table_rows``."""
    return table_rows(_text(path), str(path), columns, header=header, may_be_empty=may_be_empty)


def table_rows(
    text: str,
    where: str,
    columns: Sequence[str],
    *,
    header: bool = True,
    may_be_empty: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of a CSV text.

    Args:
        where: The file that errors name.
        columns: Names of its columns, in their order.
        header: Whether the first line names them.
        may_be_empty: Columns whose fields may hold nothing.

    Raises:
        InputError: It is no CSV, has another header, or a row has other fields.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        found = next(reader, None) if header else list(columns)
        if found != list(columns):
            what = f"the header is {found}, expected {list(columns)}"
            raise InputError(what, where=f"{where}:1", cure=CURE)
        for fields in reader:
            place = f"{where}:{reader.line_num}"
            if len(fields) != len(columns):
                what = f"a row of {len(fields)} fields, expected {len(columns)}"
                raise InputError(what, where=place, cure=CURE)
            values = dict(zip(columns, fields, strict=True))
            _check_filled(values, may_be_empty, place)
            yield Row(place, values)
    except csv.Error as error:
        place = f"{where}:{reader.line_num}"
        raise InputError(f"not a CSV file: {error}", where=place, cure=CURE) from error


def read_json_lines(path: Path, keys: Sequence[str]) -> Iterator[Row]:
    """The objects of a file that holds one a line; only the named texts of each are kept.

    Raises:
        InputError: The file is unreadable, or a line is no object with these texts.
    """
    for where, line in read_lines(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}", where=where, cure=CURE) from error
        named = isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in keys)
        if not named:
            what = f"not an object with the texts {', '.join(keys)}"
            raise InputError(what, where=where, cure=CURE)
        values = {key: str(entry[key]) for key in keys}
        _check_filled(values, (), where)
        yield Row(where, values)


def label_place(label: str, labels: Sequence[str], where: str) -> int:
    """The place of a label among those that the task knows.

    Raises:
        InputError: The task has no such label.
    """
    if label not in labels:
        what = f"unknown label {label!r}"
        raise InputError(what, where=where, cure=did_you_mean(label, labels))
    return labels.index(label)


def drawn_order(texts: Sequence[str], salt: str) -> list[int]:
    """Places of texts in the order of their hashes: the first n are a sample, the same in each study."""
    return sorted(range(len(texts)), key=lambda place: unit_interval(texts[place], salt))


def decoded(data: bytes, where: str) -> str:
    """Bytes of a file as text.

    Raises:
        InputError: They are not UTF-8, or nothing.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"bytes that are not UTF-8 at offset {error.start:,}"
        raise InputError(what, where=f"{where}:{line}", cure=CURE) from error
    if not text.strip():
        raise InputError("the file is empty", where=f"{where}:1", cure=CURE)
    return text


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        what = f"{size:,} bytes, more than any of our data sets has"
        raise InputError(what, where=path, cure=CURE)
    return decoded(path.read_bytes(), str(path))


def _check_filled(values: dict[str, str], may_be_empty: Sequence[str], where: str) -> None:
    for name, value in values.items():
        if not value.strip() and name not in may_be_empty:
            raise InputError(f"the field {name!r} is empty", where=where, cure=CURE)
