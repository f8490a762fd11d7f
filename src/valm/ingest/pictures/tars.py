"""Tar shards of pictures from outside (WebDataset, img2dataset), read strictly and never extracted.

A sample is what shares a key, the part of a member's name before its first dot: a picture, its caption
(``.txt``), facts about it (``.json``). A member that is no plain file, leaves the archive's folder, comes
twice or is too large costs its sample, under a reason code; a damaged archive is an error with its offset.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from valm.errors import InputError
from valm.ingest.picture_sources import RawPicture
from valm.ingest.raw.archives import StrictHeader, is_plain, sound_headers

PICTURES = ("jpg", "jpeg", "png", "webp", "gif")
UNSOUND = (tarfile.TarError, OSError, EOFError, ValueError)  # ValueError: extended headers
LARGEST_BYTES = {"txt": 64 << 10, "json": 1 << 20} | dict.fromkeys(PICTURES, 32 << 20)


@dataclass
class Sample:
    """What a tar holds under one key; ``reason`` says why it cannot be used."""

    key: str
    picture: bytes | None = None
    caption: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


def tar_pictures(path: Path, licence: str, rejected: Counter[str]) -> Iterator[RawPicture]:
    """Yield the pictures of a tar that have a sound sample; the others are counted by reason.

    Args:
        path: The tar.
        licence: Licence of a picture whose facts state none.
        rejected: Counts samples by reason code.

    Raises:
        InputError: The tar is missing, cut off or damaged; with the offset.
    """
    for sample in _samples(path):
        reason = sample.reason or ("" if sample.picture is not None else "no_picture")
        if sample.picture is None or reason:
            rejected[reason] += 1
            continue
        yield RawPicture(
            data=sample.picture,
            name="",
            captions=(sample.caption or whole_text(sample.facts.get("caption")),),
            licence=whole_text(sample.facts.get("licence")) or licence,
            origin=whole_text(sample.facts.get("url")) or whole_text(f"{path.name}/{sample.key}"),
        )


def _samples(path: Path) -> Iterator[Sample]:
    names: set[str] = set()
    for key, members in groupby(_members(path), key=lambda member: _key(member[0].name)):
        sample = Sample(key)
        for info, data in members:
            if info.name in names:
                sample.reason = sample.reason or "duplicate_name"
            names.add(info.name)
            _add(sample, info, data)
        yield sample


def _add(sample: Sample, info: tarfile.TarInfo, data: bytes | None) -> None:
    """Put one member into its sample; None stands for one that was not read."""
    ending = info.name.rpartition(".")[2].lower()
    if not is_plain(info.name):
        sample.reason = sample.reason or "unsafe_name"
    elif not info.isreg():
        sample.reason = sample.reason or "not_a_file"
    elif info.size > LARGEST_BYTES.get(ending, info.size):
        sample.reason = sample.reason or "too_many_bytes"
    elif data is None:
        return  # of no use here
    elif ending == "txt":
        sample.caption = data.decode("utf-8", errors="replace")
    elif ending == "json":
        sample.facts = _facts(data)
    elif sample.picture is None:
        sample.picture = data


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """Every member but folders, with its bytes if it is to be read."""
    try:
        with tarfile.open(path, "r|", tarinfo=StrictHeader) as tar:
            offset = 0
            try:
                for info in sound_headers(tar):
                    offset = info.offset
                    if info.isdir():
                        continue
                    ending = info.name.rpartition(".")[2].lower()
                    wanted = info.isreg() and info.size <= LARGEST_BYTES.get(ending, -1)
                    file = tar.extractfile(info) if wanted else None
                    data = file.read() if file is not None else None
                    if data is not None and len(data) != info.size:
                        raise tarfile.ReadError(f"{info.name!r} is cut off")
                    yield info, data
            except UNSOUND as error:
                raise _damaged(path, offset, error) from error
    except UNSOUND as error:
        raise _damaged(path, 0, error) from error


def _damaged(path: Path, offset: int, error: Exception) -> InputError:
    return InputError(
        f"a damaged shard: {error}",
        where=f"{path} near byte {offset:,}",
        cure="fetch it again, or leave it out",
    )


def _key(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or "_")) if path.name else name


def _facts(data: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def whole_text(value: object) -> str:
    """A text as UTF-8 can hold it: names of files and JSON may have halves of characters. Else none."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
