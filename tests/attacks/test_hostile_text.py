"""Hostile text files end in one InputError, in little memory; hostile characters do not get in."""

import lzma
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from valm.errors import InputError
from valm.ingest.text.cleaning import clean_text
from valm.ingest.text.documents import document_writer, read_documents, read_plain_documents

DOCUMENTS = ["one\ntwo", "drei, früh", "x" * 300_000, "four"]


@contextmanager
def little_memory(megabytes: int) -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < megabytes << 20, f"{peak >> 20} MiB"


def packed(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "text.txt.xz"
    path.write_bytes(lzma.compress(data, preset=0))
    return path


def test_what_is_written_is_read_and_equal_bytes_come_of_equal_text(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt.xz", tmp_path / "b.txt.xz"]
    for path in paths:
        with document_writer(path) as write:
            for document in DOCUMENTS:
                write(document)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert list(read_documents(paths[0])) == DOCUMENTS
    assert lzma.decompress(paths[0].read_bytes()).startswith(b"one\ntwo\n\ndrei")


def test_members_padding_blank_lines_and_a_missing_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "text.txt.xz"
    members = [b"\n\n a\nb\n\n\n", b"c\r\n \nd"]
    path.write_bytes(b"\0\0\0\0".join(map(lzma.compress, members)))
    assert list(read_documents(path)) == [" a\nb", "c\r", "d"]
    path.write_bytes(b"")
    assert list(read_documents(path)) == []


@pytest.mark.parametrize("filling", [b"\0", b"\n", b"a b c\n", b"word\n\n"])
def test_a_bomb_is_refused_early(tmp_path: Path, filling: bytes) -> None:
    path = packed(tmp_path, filling * (120_000_000 // len(filling)))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"expands more|longer than"):
        sum(map(len, read_documents(path)))


def test_a_line_of_a_hundred_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with path.open("wb") as file:
        file.write(b"fine\n\n")
        file.truncate(100 << 20)
    documents = read_plain_documents(path)
    assert next(documents) == "fine"
    with little_memory(60), pytest.raises(InputError, match="offset 6 is longer than"):
        next(documents)


def test_bytes_that_are_not_utf8_are_named_by_their_offset(tmp_path: Path) -> None:
    good = "früh\n\n".encode() * 3
    with pytest.raises(InputError, match=f"offset {len(good) + 2} of the text"):
        list(read_documents(packed(tmp_path, good + b"ab\xff\xfe\n")))


@pytest.mark.parametrize("spoil", [lambda d: d[:-9], lambda d: b"no" + d, lambda d: d + b"junk"])
def test_damaged_xz_is_refused(tmp_path: Path, spoil: object) -> None:
    path = packed(tmp_path, b"a line\n\n" * 1000)
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InputError, match="xz file"):
        list(read_documents(path))


def test_a_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    path = tmp_path / "text.txt.xz"
    path.write_bytes(lzma.compress(b"a\n\n", format=lzma.FORMAT_XZ, filters=filters))
    with pytest.raises(InputError, match="not a sound xz file"):
        list(read_documents(path))


def test_controls_directions_and_lone_surrogates_are_taken_out() -> None:
    hostile = "a\x00b \x1b[31mred\x07\u202egnp\u200b.exe\ud800 \ufeff\U000e0041\x85\n\n \t\n"
    hostile += "last\u2028line"
    cleaned = clean_text(hostile, third_party=False)
    assert cleaned == "ab [31mredgnp.exe\nlast\nline"
    assert clean_text(cleaned, third_party=False) == cleaned
    assert cleaned.encode()
    assert clean_text("\x00\u200b\n \n", third_party=True) == ""


def test_broken_encodings_are_mended_and_characters_composed() -> None:
    assert clean_text("schÃ¶n &amp; cafe\u0301", third_party=True) == "schön & café"
    assert clean_text("AT&amp;T", third_party=False) == "AT&amp;T"
