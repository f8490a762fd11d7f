"""Hostile .idx and .bin files end in one InputError, before what they state is believed."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from valm.errors import InputError
from valm.ingest.text.fairseq import HEADER, MAGIC, read_lines, write_lines

LINES = [[5, 6, 2], [2], [7, 2]]


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    write_lines(tmp_path / "set", LINES, 100)
    return tmp_path / "set"


def header(version: int = 1, code: int = 8, count: int = 3, magic: bytes = MAGIC) -> bytes:
    return HEADER.pack(magic, version, code, count)


def with_header(**stated: int | bytes) -> Callable[[bytes], bytes]:
    return lambda data: header(**stated) + data[HEADER.size :]  # type: ignore[arg-type]


def with_length(length: int) -> Callable[[bytes], bytes]:
    at = HEADER.size
    return lambda data: data[:at] + struct.pack("<i", length) + data[at + 4 :]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"", "not an index"),
        (lambda data: data[:20], "not an index"),
        (with_header(magic=b"TNTIDX\0\0\0"), "not an index"),
        (lambda data: b"\x80\x04\x95" + data, "not an index"),
        (with_header(version=2), "version 2 with type code 8"),
        (with_header(code=6), "version 1 with type code 6"),
        (with_header(code=0), "version 1 with type code 0"),
        (with_header(count=2**64 - 1), "the index has 62 bytes, but"),
        (with_header(count=4), "the index has 62 bytes, but 74 with its 4 lines"),
        (lambda data: data[:-1], "the index has 61 bytes"),
        (lambda data: data + b"\0" * 12, "the index has 74 bytes"),
        (with_length(-1), "do not follow one another"),
        (with_length(4), "do not follow one another"),
        (lambda data: data[:-8] + struct.pack("<q", -(2**60)), "do not follow one another"),
        (with_header(code=5), "do not follow one another"),
    ],
)
def test_an_index_that_lies_is_refused(
    stem: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    index = stem.with_suffix(".idx")
    index.write_bytes(spoil(index.read_bytes()))
    with pytest.raises(InputError, match=message):
        read_lines(stem, 100)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data + b"\0\0"])
def test_tokens_of_another_length_are_refused(stem: Path, spoil: Callable[[bytes], bytes]) -> None:
    data = stem.with_suffix(".bin")
    data.write_bytes(spoil(data.read_bytes()))
    with pytest.raises(InputError, match="bytes, the index states 12"):
        read_lines(stem, 100)


def test_ids_beyond_the_vocabulary_and_negative_ones_are_refused(stem: Path) -> None:
    with pytest.raises(InputError, match="ids from 2 to 7 in a vocabulary of 7"):
        read_lines(stem, 7)
    stem.with_suffix(".idx").write_bytes(with_header(code=3)(stem.with_suffix(".idx").read_bytes()))
    stem.with_suffix(".bin").write_bytes(b"\xff\xff" * 6)
    with pytest.raises(InputError, match="ids from -1 to -1"):
        read_lines(stem, 100)


def test_a_missing_half_is_named(stem: Path) -> None:
    stem.with_suffix(".bin").unlink()
    with pytest.raises(InputError, match=r"missing \[.*set\.bin\]"):
        read_lines(stem, 100)


def test_a_stated_size_costs_no_memory(stem: Path) -> None:
    """An index that claims a thousand million lines is refused by its own size."""
    index = stem.with_suffix(".idx")
    index.write_bytes(with_header(count=10**9)(index.read_bytes()))
    tracemalloc.start()
    with pytest.raises(InputError, match="1,000,000,000 lines"):
        read_lines(stem, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
