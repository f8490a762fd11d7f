"""Parts of web text: cut out of a file of any size, then cleaned, filtered and signed, each by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from valm.config.base import Settings
from valm.core.atomic import write_array, write_json
from valm.core.seeding import unit_interval
from valm.errors import InputError
from valm.ingest.text.blocks import text_blocks
from valm.ingest.text.came_with import folded
from valm.ingest.text.cleaning import clean_text
from valm.ingest.text.documents import LINES_PER_BLOCK, MAXIMUM_DOCUMENT_BYTES, document_writer
from valm.ingest.text.filters import Filters, why_left_out
from valm.ingest.text.repeated_texts import exact_signature, near_signature

BLANK_LINES = re.compile(rb"\n(?:[ \t\r\f\v]*\n)+")
TEXT_BLANK_LINES = re.compile(r"\n(?:[ \t\r\f\v]*\n)+")
SIGNATURES = {"exact": exact_signature, "near": near_signature}
TEXT, SIGNED, TALLY = "txt.xz", "npy", "json"  # endings of a finished part's files


class Params(Settings):
    """Which web text, and what is kept of it."""

    files: list[Path] = Field(
        min_length=1, description="Files in CC-100's layout, in order: xz, gzip or plain."
    )
    preset: Literal["fixed", "parity"] = Field(
        "fixed",
        description="'fixed': documents are cleaned; 'parity': taken as they are, in blocks of 1,000"
        " lines (official).",
    )
    fraction: float = Field(1.0, gt=0, le=1, description="Share that is sampled, by hash.")
    filters: Filters = Field(default_factory=Filters, description="What is left out.")
    duplicates: Literal["none", "exact", "near"] = Field(
        "none", description="Repeats of earlier documents that are left out; 'near': both kinds."
    )
    maximum_reject_fraction: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of damaged documents above which a part fails; one never does.",
    )

    @model_validator(mode="after")
    def _parity_leaves_nothing_out(self) -> Params:
        if self.preset == "parity" and (self.filters != Filters() or self.duplicates != "none"):
            raise ValueError("the preset 'parity' takes no filters and removes no duplicates")
        return self

    @property
    def by_lines(self) -> bool:
        """Whether blocks of lines are sampled and kept, not documents."""
        return self.preset == "parity"


@dataclass(frozen=True)
class RawPart:
    """A part of a file's text, cut between two documents (or lines).

    Attributes:
        number: Its place among all parts.
        file: The file.
        start: Where it starts in the file's text, in bytes.
        data: Its bytes.
        inside: It starts inside a document that is too long, and was counted with the part before.
    """

    number: int
    file: Path
    start: int
    data: bytes
    inside: bool


def raw_parts(files: Sequence[Path], by_lines: bool, size: int) -> Iterator[RawPart]:
    """Cut files into parts of a size; the last of a file is smaller.

    Args:
        files: xz, gzip or plain files.
        by_lines: Cut at any line, not at blank ones.
        size: Bytes of a part; more than a document may have.
    """
    number = 0
    for file in files:
        start, inside = 0, False
        waiting = bytearray()
        for block in text_blocks(file):
            waiting += block
            while len(waiting) >= size:
                cut = _last_cut(waiting, size, by_lines)
                end = cut or size  # without a cut, the document is too long
                yield RawPart(number, file, start, bytes(waiting[:end]), inside)
                number, start, inside = number + 1, start + end, cut == 0
                del waiting[:end]
        if waiting:
            yield RawPart(number, file, start, bytes(waiting), inside)
            number += 1


@dataclass
class Tally:
    """What became of the documents (or blocks of lines) of a part.

    Attributes:
        read: All of them.
        not_sampled: Outside the sampled fraction.
        kept: Written.
        damaged: By reason.
        left_out: By the filter that they did not pass.
        languages: Documents that the language filter saw, by language.
        first_damaged: Where the first damaged one starts in the part.
    """

    read: int = 0
    not_sampled: int = 0
    kept: int = 0
    damaged: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    first_damaged: int | None = None


def make_part(raw: RawPart, params: Params, folder: Path) -> None:
    """Write what is kept of a part, the signatures of its documents and its tally, which comes last.

    Raises:
        InputError: More of it is damaged than the parameters allow.
    """
    tally = Tally()
    sign = SIGNATURES.get(params.duplicates)
    signatures = []
    with document_writer(folder / f"{raw.number}.{TEXT}") as write:
        for text in _kept(raw, params, tally):
            write(text)
            if sign is not None:
                signatures.append(sign(folded(text)))
    damaged = tally.damaged.total()
    if damaged > max(1, params.maximum_reject_fraction * tally.read):
        reasons = ", ".join(f"{name}: {count:,}" for name, count in sorted(tally.damaged.items()))
        raise InputError(
            f"{damaged:,} of {tally.read:,} documents are damaged ({reasons}), the first at offset"
            f" {raw.start + (tally.first_damaged or 0):,} of the text",
            where=raw.file,
            cure="mend the file, or raise its maximum_reject_fraction in ingest.text.params",
        )
    if sign is not None:
        columns = np.array(signatures, np.uint64).reshape(-1, len(sign(""))).T
        write_array(folder / f"{raw.number}.{SIGNED}", np.ascontiguousarray(columns))
    write_json(folder / f"{raw.number}.{TALLY}", vars(tally))


def _kept(raw: RawPart, params: Params, tally: Tally) -> Iterator[str]:
    """The documents of a part that are kept; what becomes of the others is counted."""
    for offset, unit in _units(raw, params.by_lines):
        tally.read += 1
        text, reason = _decoded(unit)
        if reason:
            tally.damaged[reason] += 1
            if tally.first_damaged is None:
                tally.first_damaged = offset
        elif unit_interval(text, "sample") >= params.fraction:
            tally.not_sampled += 1
        elif params.by_lines:
            tally.kept += 1
            yield from (part.strip("\n") for part in TEXT_BLANK_LINES.split(text) if part.strip())
        else:
            text = clean_text(text, third_party=True)
            reason = why_left_out(text, params.filters, tally.languages) if text else "empty"
            if reason:
                tally.left_out[reason] += 1
            else:
                tally.kept += 1
                yield text


def _units(raw: RawPart, by_lines: bool) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each document, or of each block of 1,000 lines."""
    data = memoryview(raw.data)
    start = 0
    if raw.inside:
        ends = re.search(rb"\n", raw.data) if by_lines else BLANK_LINES.search(raw.data)
        start = ends.end() if ends else len(data)
    if by_lines:
        lines = (match.end() for match in re.finditer(rb"\n", raw.data[start:]))
        ends_of_units: Iterable[int] = (
            start + end for n, end in enumerate(lines, 1) if n % LINES_PER_BLOCK == 0
        )
    else:
        ends_of_units = (match.end() for match in BLANK_LINES.finditer(raw.data, start))
    for end in (*ends_of_units, len(data)):
        unit = bytes(data[start:end])
        if unit.strip():
            yield start, unit
        start = end


def _decoded(unit: bytes) -> tuple[str, str | None]:
    """A unit's text, and why it is damaged if it is."""
    if len(unit) > MAXIMUM_DOCUMENT_BYTES:
        return "", "too_long"
    if b"\0" in unit:
        return "", "holds_nuls"
    try:
        return unit.decode("utf-8"), None
    except UnicodeDecodeError:
        return "", "not_utf8"


def _last_cut(data: bytearray, size: int, by_lines: bool) -> int:
    """Where the last unit within so many bytes begins; 0 if none ends there."""
    if by_lines:
        return data.rfind(b"\n", 0, size) + 1
    plain = data.rfind(b"\n\n", 0, size)
    if plain >= 0:
        return plain + 2
    return max((match.end() for match in BLANK_LINES.finditer(data, 0, size)), default=0)
