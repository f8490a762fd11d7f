"""The bytes of a text file, plain or packed (xz, gzip), as blocks that no file can make endless.

Nothing is unpacked to disk. Files of several members, one after the other, are one text.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from valm.errors import InputError

BLOCK_BYTES = 1 << 18
DECODER_MEMORY_BYTES = 256 << 20  # xz -9 needs 65 MiB
# Text packs 3 to 30 times smaller; a file of zeros 7,000 times.
MAXIMUM_EXPANSION = 200
FREE_EXPANSION_BYTES = 4 << 20
XZ_MAGIC, GZIP_MAGIC = b"\xfd7zXZ\x00", b"\x1f\x8b"
GZIP_WINDOW = 31  # zlib's number for a gzip header and the largest window


class Unpacker(Protocol):
    """One packed member: what ``lzma``'s decompressor offers."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Unpack at most so many bytes; the rest waits."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing waits."""

    @property
    def unused_data(self) -> bytes:
        """What stands behind the member."""


class GzipUnpacker:
    """One gzip member, with the offers of ``lzma``'s decompressor."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(GZIP_WINDOW)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Unpack at most so many bytes; the rest waits."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing waits."""
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What stands behind the member."""
        return self._zlib.unused_data


def text_blocks(path: Path) -> Iterator[bytes]:
    """The text of a file that is packed as its first bytes say.

    Raises:
        InputError: The file is missing, damaged, cut off or a bomb; with the offset in the file.
    """
    if not path.is_file():
        raise InputError("a text file is missing", where=path, cure="put it there")
    with path.open("rb") as file:
        start = file.read(len(XZ_MAGIC))
    if start == XZ_MAGIC:
        return xz_blocks(path)
    return gzip_blocks(path) if start.startswith(GZIP_MAGIC) else plain_blocks(path)


def plain_blocks(path: Path) -> Iterator[bytes]:
    """The blocks of a file as they are."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def xz_blocks(path: Path) -> Iterator[bytes]:
    """Unpack an xz file."""
    return _unpacked(path, lambda: lzma.LZMADecompressor(memlimit=DECODER_MEMORY_BYTES), "xz")


def gzip_blocks(path: Path) -> Iterator[bytes]:
    """Unpack a gzip file."""
    return _unpacked(path, GzipUnpacker, "gzip")


def _unpacked(path: Path, new_unpacker: Callable[[], Unpacker], kind: str) -> Iterator[bytes]:
    packed = unpacked = 0
    unpacker: Unpacker | None = None
    try:
        for block in plain_blocks(path):
            packed += len(block)
            while True:
                if unpacker is None:
                    block = block.lstrip(b"\0")  # padding between members
                    if not block:
                        break
                    unpacker = new_unpacker()
                text = unpacker.decompress(block, BLOCK_BYTES)
                unpacked += len(text)
                if unpacked > FREE_EXPANSION_BYTES + MAXIMUM_EXPANSION * packed:
                    raise InputError(
                        f"the file expands more than {MAXIMUM_EXPANSION} times, as no text does,"
                        f" near byte {packed:,}",
                        where=path,
                        cure="check where the file comes from",
                    )
                yield text
                block = b""
                if unpacker.eof:
                    block, unpacker = unpacker.unused_data, None
                elif unpacker.needs_input:
                    break
    except (lzma.LZMAError, zlib.error) as error:
        raise InputError(
            f"not a sound {kind} file near byte {packed:,}: {error}",
            where=path,
            cure="make it again",
        ) from error
    if unpacker is not None:
        raise InputError(
            f"the {kind} file ends too early, at byte {packed:,}", where=path, cure="make it again"
        )
