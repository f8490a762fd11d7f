"""Tar headers that claim what cannot be: each is an error with its offset at once, never a hang or a traceback."""

import signal
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from valm.errors import InputError
from valm.ingest.pictures.tars import tar_pictures
from valm.ingest.raw.archives import read_members

SECONDS = 30  # for what takes milliseconds
Records = list[tuple[bytes, bytes]]


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """End a test that hangs."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


def blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def extended(records: Records, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A tar of one file, under an extended header with these records."""
    body = b""
    for key, value in records:
        record = b" " + key + b"=" + value + b"\n"
        length = next(n for n in range(len(record), 1 << 17) if n == len(str(n)) + len(record))
        body += str(length).encode() + record
    file = header("1.png", 100) + blocks(b"x" * 100)
    return header("extended", len(body), kind) + blocks(body) + file + bytes(1024)


HOSTILE: dict[str, bytes] = {
    "a size above any disk": header("1.png", 1 << 62) + bytes(1024),
    "such a size of a file that nobody wants": header("1.exe", 1 << 62) + bytes(1024),
    "an extended size above any disk": extended([(b"size", b"9" * 18)]),
    "one of four hundred digits": extended([(b"size", b"9" * 400)]),
    "a negative extended size": extended([(b"size", b"-5")]),
    "a sparse size that is no number": extended([(b"GNU.sparse.size", b"abc")]),
    "a real size that is no number": extended([(b"GNU.sparse.realsize", b"1e9")]),
    "a real size that is no text": extended([(b"GNU.sparse.realsize", b"\xff")]),
    "the same for all files": extended([(b"GNU.sparse.size", b"abc")], tarfile.XGLTYPE),
    "a map of letters": extended([(b"GNU.sparse.map", b"a,b"), (b"GNU.sparse.size", b"10")]),
    "a map that is missing": extended(
        [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9")]
    ),
    "a record without length": header("x", 4, tarfile.XHDTYPE) + blocks(b"0 a=") + bytes(1024),
    "a name of a gigabyte": header("x", 1 << 30, tarfile.GNUTYPE_LONGNAME) + bytes(1024),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_header_that_cannot_be_is_an_error_with_its_offset(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(InputError, match=r"a\.tar near byte [\d,]+"):
        list(tar_pictures(path, "", Counter()))
    with pytest.raises(InputError, match=r"damaged tar archive.*a\.tar"):
        list(read_members(path, lambda name: name.endswith(".png"), 1 << 20))


@pytest.mark.parametrize(
    "records, rejected",
    [
        ([(b"path", b"../../x.png")], "unsafe_name"),
        ([(b"path", b"/x.png")], "unsafe_name"),
        ([(b"path", b"a\0b.png")], "unsafe_name"),
        ([(b"GNU.sparse.size", b"9" * 9)], "too_many_bytes"),
    ],
)
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_names_and_sizes_of_extended_headers_are_checked_like_others(
    tmp_path: Path, records: Records, rejected: str, kind: bytes
) -> None:
    path, counts = tmp_path / "a.tar", Counter[str]()
    path.write_bytes(extended(records, kind))
    assert list(tar_pictures(path, "", counts)) == [] and counts == {rejected: 1}
