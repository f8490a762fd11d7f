"""Documents in CC-100's layout: UTF-8 lines, a blank line after each document, often xz-packed.

Everything is read as a stream of blocks with limits, so that a hostile file cannot fill the memory.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from valm.core.atomic import atomic_file
from valm.core.manifest import read_manifest
from valm.errors import InputError
from valm.ingest.text.blocks import plain_blocks, xz_blocks

KIND = "text"

MAXIMUM_DOCUMENT_BYTES = 8 << 20  # the longest novels have half of this
LINES_PER_BLOCK = 1_000
# Preset 1 packs prose at 16 MB/s to 36 %; 6 needs nine times as long for 27 %.
XZ_PRESET = 1


class Document(NamedTuple):
    """A text and what keeps it together with others: documents of one group share one split.

    Attributes:
        text: Lines joined by newlines.
        group: Name of the group; empty for a document that stands alone.
        pictures: Ids of the pictures that it came with: whose caption it is, or whose pixels it tells of.
    """

    text: str
    group: str = ""
    pictures: tuple[int, ...] = ()


def read_text(manifest: Path) -> Iterator[Document]:
    """Yield the documents that ``write-text`` wrote, in order."""
    entry = read_manifest(manifest, KIND)
    source = entry.facts["source"]
    documents = (Document(text) for text in read_documents(manifest.with_name(f"{source}.txt.xz")))
    if (groups := f"{source}.groups.txt.xz") in entry.files:
        names = read_documents(manifest.with_name(groups))
        documents = (each._replace(group=n) for each, n in zip(documents, names, strict=True))
    if (pictures := f"{source}.pictures.txt.xz") in entry.files:
        lists = read_documents(manifest.with_name(pictures))
        documents = (
            each._replace(pictures=tuple(map(int, ids.split())))
            for each, ids in zip(documents, lists, strict=True)
        )
    return documents


def line_blocks(documents: Iterable[Document]) -> Iterator[Document]:
    """Cut documents into blocks of 1,000 lines, a blank line after each document among them.

    The official code splits and shuffles such blocks (VALM.md 2.1). A block is a ``Document`` whose text
    keeps its blank lines; a document with a group is a block of its own, since groups share a split.
    """
    lines: list[str] = []
    characters = 0
    for document in documents:
        if document.group:
            yield Document(f"{document.text}\n", document.group)
            continue
        for line in (*document.text.split("\n"), ""):
            lines.append(line)
            characters += len(line)
            if len(lines) == LINES_PER_BLOCK or characters > MAXIMUM_DOCUMENT_BYTES:
                yield Document("\n".join(lines))
                lines.clear()
                characters = 0
    if lines:
        yield Document("\n".join(lines))


def text_source(manifest: Path) -> str:
    """The name of the source that a text manifest holds."""
    return str(read_manifest(manifest, KIND).facts["source"])


def read_documents(path: Path) -> Iterator[str]:
    """Yield the documents of an xz file; lines of one document are joined by newlines.

    Raises:
        InputError: The file is not xz, is truncated, expands too far, holds a document that is too
            long, or bytes that are not UTF-8 (with their offset in the unpacked text).
    """
    return split_documents(xz_blocks(path), path)


def read_plain_documents(path: Path) -> Iterator[str]:
    """Yield the documents of an uncompressed file; otherwise like :func:`read_documents`."""
    return split_documents(plain_blocks(path), path)


def split_documents(blocks: Iterable[bytes], where: Path) -> Iterator[str]:
    """Cut a stream of bytes into documents at blank lines.

    Args:
        blocks: The text's bytes in order, cut anywhere.
        where: The file that errors name.
    """
    lines: list[bytes] = []
    waiting = offset = start = 0  # bytes of ``lines``, bytes read before them, where they start
    for line in chain(_lines(blocks, where), [b"\n"]):
        offset += len(line)
        if line.strip():
            lines.append(line)
            waiting += len(line)
            if waiting > MAXIMUM_DOCUMENT_BYTES:
                raise _too_long(start, where)
        else:
            if lines:
                yield _decoded(b"".join(lines), start, where)
                lines.clear()
                waiting = 0
            start = offset


@contextmanager
def document_writer(target: Path) -> Iterator[Callable[[str], None]]:
    """Write an xz file in CC-100's layout, atomically; equal documents give equal bytes."""
    with atomic_file(target) as file:
        packer = lzma.LZMACompressor(check=lzma.CHECK_CRC64, preset=XZ_PRESET)

        def write(document: str) -> None:
            file.write(packer.compress(f"{document}\n\n".encode()))

        yield write
        file.write(packer.flush())


def _lines(blocks: Iterable[bytes], where: Path) -> Iterator[bytes]:
    """Cut blocks at newlines; each line keeps its own."""
    rest, offset = b"", 0
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            offset += len(line) + 1
            yield line + b"\n"
        if len(rest) > MAXIMUM_DOCUMENT_BYTES:
            raise _too_long(offset, where)
    if rest:
        yield rest


def _decoded(data: bytes, start: int, where: Path) -> str:
    try:
        return data.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"bytes that are not UTF-8 at offset {start + error.start:,} of the text",
            where=where,
            cure="convert the file to UTF-8",
        ) from error


def _too_long(offset: int, where: Path) -> InputError:
    return InputError(
        f"the document at offset {offset:,} is longer than {MAXIMUM_DOCUMENT_BYTES:,} bytes",
        where=where,
        cure="documents are separated by blank lines; check the file's layout",
    )
