"""Members of tgz, wheel and deb packages, streamed: nothing is ever extracted to disk.

Packages come from outside. Only plain files are read, by a name asked for; links, devices, absolute
names and ``..`` are passed over; a member that is larger than its cap, or than its header says, is
an error before its bytes are kept. An archive that ends without its end mark is an error too.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Self

from valm.errors import InputError

AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60
MAXIMUM_NAME_BYTES = 1 << 16
MAXIMUM_MEMBER_BYTES = 64 << 30  # tarfile goes through what it passes over, in blocks of 10 KiB
NAME_TYPES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE,
              tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)  # fmt: skip


class StrictHeader(tarfile.TarInfo):
    """A tar header that is sound or an error.

    ``tarfile`` itself takes a broken or missing header for the end of the archive, and reads a long
    name or extended header of any length into memory.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one header block.

        Raises:
            tarfile.ReadError: It is broken, cut off or missing, or claims an impossible size.
        """
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the end mark
            raise tarfile.ReadError(str(error)) from error
        most = MAXIMUM_NAME_BYTES if header.type in NAME_TYPES else MAXIMUM_MEMBER_BYTES
        if not 0 <= header.size <= most:
            raise tarfile.ReadError(f"a header claims {header.size:,} bytes")
        return header


def sound_headers(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar that was opened with ``StrictHeader``, in order.

    Raises:
        tarfile.ReadError: An extended header claims an impossible size.
        ValueError: One holds no number where it should.
    """
    for info in tar:
        claimed = max(info.size, tar.offset - info.offset)
        if info.size < 0 or claimed > MAXIMUM_MEMBER_BYTES:
            raise tarfile.ReadError(f"a header claims {claimed:,} bytes")
        yield info


def read_members(
    archive: Path, wanted: Callable[[str], object], maximum_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every wanted plain file, in the archive's order.

    Args:
        archive: A ``.whl``/``.zip``, ``.deb``, ``.tgz`` or ``.tar.*`` file.
        wanted: Says by a member's name whether it is wanted; called once a member.
        maximum_bytes: Cap of one member's size.

    Raises:
        InputError: The archive is missing or damaged, or a wanted member is larger than the cap.
    """
    if not archive.is_file():
        cure = "delete its manifest in ingest/sources and run the study again: it is fetched anew"
        raise InputError("a raw file is missing", where=archive, cure=cure)
    if archive.suffix in (".whl", ".zip"):
        yield from _zip_members(archive, wanted, maximum_bytes)
    else:
        yield from _tar_members(archive, wanted, maximum_bytes)


def read_member(archive: Path, name: str, maximum_bytes: int) -> bytes:
    """Return the bytes of one member.

    Raises:
        InputError: There is no such member, it is too large, or the archive is damaged.
    """
    for _, data in read_members(archive, name.__eq__, maximum_bytes):
        return data
    raise InputError(f"the archive holds no file {name!r}", where=archive)


def is_plain(name: str) -> bool:
    """Whether a member's name stays in the archive's folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and "\x00" not in name


def _checked_size(archive: Path, name: str, size: int, maximum_bytes: int) -> None:
    if size > maximum_bytes:
        raise InputError(
            f"member {name!r} has {size:,} bytes, more than the cap of {maximum_bytes:,}",
            where=archive,
        )


def _read_exactly(file: IO[bytes], archive: Path, name: str, size: int) -> bytes:
    data = file.read(size + 1)
    if len(data) != size:
        raise InputError(f"member {name!r} is not as long as its header says", where=archive)
    return data


def _zip_members(
    archive: Path, wanted: Callable[[str], object], maximum_bytes: int
) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                if info.is_dir() or not is_plain(info.filename) or not wanted(info.filename):
                    continue
                _checked_size(archive, info.filename, info.file_size, maximum_bytes)
                with bundle.open(info) as file:
                    data = _read_exactly(file, archive, info.filename, info.file_size)
                yield info.filename, data
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"a damaged zip archive: {error}", where=archive) from error


def _tar_members(
    archive: Path, wanted: Callable[[str], object], maximum_bytes: int
) -> Iterator[tuple[str, bytes]]:
    try:
        with _opened_tar(archive) as bundle:
            for info in sound_headers(bundle):
                name = info.name.removeprefix("./")
                if not info.isreg() or not is_plain(name) or not wanted(name):
                    continue
                _checked_size(archive, name, info.size, maximum_bytes)
                file = bundle.extractfile(info)
                assert file is not None  # isreg() was asked
                yield name, _read_exactly(file, archive, name, info.size)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise InputError(f"a damaged tar archive: {error}", where=archive) from error


@contextmanager
def _opened_tar(archive: Path) -> Iterator[tarfile.TarFile]:
    with archive.open("rb") as file:
        if archive.suffix == ".deb":
            _seek_debian_data(file, archive)
        # "r|*" streams: no index of members in memory, no seeking back.
        with tarfile.open(fileobj=file, mode="r|*", tarinfo=StrictHeader) as bundle:
            yield bundle


def _seek_debian_data(file: IO[bytes], archive: Path) -> None:
    """Move to the start of ``data.tar.*`` inside a Debian package, which is an ar archive."""
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise InputError("not a Debian package", where=archive)
    while header := file.read(AR_HEADER_BYTES):
        name, size = header[:16].strip().decode("latin-1"), header[48:58].strip()
        if not size.isdigit():
            raise InputError("a damaged Debian package", where=archive)
        if name.startswith("data.tar"):
            return
        file.seek(int(size) + int(size) % 2, 1)
    raise InputError("a Debian package without data", where=archive)
