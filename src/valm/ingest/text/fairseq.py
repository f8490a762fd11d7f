"""fairseq's files: token ids of lines as ``.bin`` and ``.idx``, and ``dict.txt``, read and written.

The official code keeps its evaluation sets in them (VALM.md 6.7, 6.8). A vocabulary in fairseq's layout
puts four entries of its own before CLIP's and ends every line, a blank one too, with ``</s>``.

``.idx`` holds a header (magic, version, code of the ids' type, number of lines), the length of each line
as int32, and where it starts in ``.bin``, in bytes, as int64; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.core.atomic import atomic_file, write_text
from valm.errors import InputError

SPECIAL_ENTRIES = ("<s>", "<pad>", "</s>", "<unk>")
END_OF_LINE = SPECIAL_ENTRIES.index("</s>")

HEADER = struct.Struct("<9sQBQ")
MAGIC, VERSION = b"MMIDIDX\0\0", 1
DTYPES = {3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}  # those of fairseq's codes that can hold ids
BYTES_PER_LINE = 4 + 8
# fairseq stores ids of a smaller vocabulary as uint16, of any other as int32.
SMALL_VOCABULARY = 65_500
CURE = "fetch or make both files again"


@dataclass(frozen=True)
class Lines:
    """Token ids of lines, one after the other.

    Attributes:
        tokens: Ids, memory-mapped, [tokens].
        starts: Where each line starts, and the end of the last, int64 [lines + 1].
    """

    tokens: NDArray[Any]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the ids of each line, its end included."""
        for first, last in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield self.tokens[first:last].tolist()


def read_lines(stem: Path, vocabulary_size: int) -> Lines:
    """Open ``<stem>.bin`` by ``<stem>.idx``; what a file states is checked before it is relied on.

    Args:
        stem: Path without a suffix.
        vocabulary_size: Entries of the vocabulary, fairseq's own four included.

    Raises:
        InputError: A file is missing, is no such file, does not have the size that the index states,
            or holds an id that the vocabulary does not have.
    """
    index, data = stem.with_name(f"{stem.name}.idx"), stem.with_name(f"{stem.name}.bin")
    for path in (index, data):
        if not path.is_file():
            raise InputError("a file of a fairseq set is missing", where=path, cure=CURE)
    dtype, lengths, positions = _read_index(index)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if (lengths < 0).any() or (positions != starts[:-1] * dtype.itemsize).any():
        raise InputError("the lines of the index do not follow one another", where=index, cure=CURE)
    stated, found = int(starts[-1]) * dtype.itemsize, data.stat().st_size
    if stated != found:
        raise InputError(
            f"the tokens have {found:,} bytes, the index states {stated:,}", where=data, cure=CURE
        )
    # An empty file cannot be mapped.
    tokens = np.memmap(data, dtype, mode="r") if stated else np.zeros(0, dtype)
    if stated and not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
        raise InputError(
            f"ids from {tokens.min()} to {tokens.max()} in a vocabulary of {vocabulary_size:,}",
            where=data,
            cure="read it with the vocabulary that it was written with",
        )
    return Lines(tokens, starts)


def write_lines(stem: Path, lines: Iterable[Sequence[int]], vocabulary_size: int) -> None:
    """Write ``<stem>.bin`` and ``<stem>.idx``, each atomically, the index last.

    Args:
        stem: Path without a suffix.
        lines: Ids of each line, its end included.
        vocabulary_size: Entries of the vocabulary, fairseq's own four included.
    """
    code = 8 if vocabulary_size < SMALL_VOCABULARY else 4
    dtype = np.dtype(DTYPES[code])
    lengths = []
    with atomic_file(stem.with_name(f"{stem.name}.bin")) as file:
        for line in lines:
            file.write(np.array(line, dtype).tobytes())
            lengths.append(len(line))
    sizes = np.array(lengths, "<i4")
    positions = (np.cumsum(sizes, dtype="<i8") - sizes) * dtype.itemsize
    with atomic_file(stem.with_name(f"{stem.name}.idx")) as file:
        file.write(HEADER.pack(MAGIC, VERSION, code, len(sizes)))
        file.write(sizes.tobytes() + positions.astype("<i8").tobytes())


def write_dictionary(path: Path, entries: Sequence[str]) -> None:
    """Write ``dict.txt``: a line for each entry behind fairseq's own, with a count of 1.

    Args:
        path: The file.
        entries: All entries of the vocabulary by id.
    """
    write_text(path, "".join(f"{entry} 1\n" for entry in entries[len(SPECIAL_ENTRIES) :]))


def _read_index(
    path: Path,
) -> tuple[np.dtype[Any], NDArray[np.int32], NDArray[np.int64]]:
    """Type of the ids, and length and position of each line."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER.size)
        if len(head) < HEADER.size or not head.startswith(MAGIC):
            raise InputError("not an index of fairseq's mmap format", where=path, cure=CURE)
        _, version, code, count = HEADER.unpack(head)
        if version != VERSION or code not in DTYPES:
            raise InputError(
                f"version {version} with type code {code} is not read",
                where=path,
                cure=f"write version {VERSION} with one of the codes {', '.join(map(str, DTYPES))}",
            )
        stated = HEADER.size + count * BYTES_PER_LINE
        if stated != size:
            raise InputError(
                f"the index has {size:,} bytes, but {stated:,} with its {count:,} lines",
                where=path,
                cure=CURE,
            )
        lengths = np.frombuffer(file.read(4 * count), "<i4")
        positions = np.frombuffer(file.read(8 * count), "<i8")
    return np.dtype(DTYPES[code]), lengths, positions
