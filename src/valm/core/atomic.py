"""Writes that are there whole or not at all: a temporary name beside the target, fsync, rename."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from valm.errors import InputError, SpaceError


@contextmanager
def _space_errors_named(target: Path) -> Iterator[None]:
    """Turn "no space left" into a SpaceError that names the target and what is free."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        free = shutil.disk_usage(target.parent).free
        raise SpaceError(
            f"the disk is full, or a quota or limit is reached ({free:,} bytes free)",
            where=target,
            cure="free some space and run the same command again; finished work is kept",
        ) from error


def require_space(target: Path, size: int) -> None:
    """Refuse a write that the disk has no room for before it begins.

    Args:
        target: What is to be written; its folder exists.
        size: Its size in bytes.

    Raises:
        SpaceError: Bytes are missing; it says how many.
    """
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise SpaceError(
            f"the disk is full: {size - free:,} bytes are missing of {size:,}",
            where=target,
            cure="free some space and run the same command again; finished work is kept",
        )


def require_writable(folder: Path) -> None:
    """Make a folder and see that files can be written there, before hours of work end in it.

    Raises:
        InputError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"nothing can be written here: {error.strerror}",
            where=folder,
            cure="name a folder that is yours to write to",
        ) from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.part")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success it is fsynced and takes the name.

    For writers that want a file name (faiss, safetensors, pyarrow).

    Raises:
        SpaceError: The disk is full; the target is left as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(target)
    try:
        with _space_errors_named(target):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync_directory(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_file(target: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the name ``target`` when the block ends without error."""
    with atomic_path(target) as temporary:
        with temporary.open("wb") as file:
            yield file


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the name ``target`` when the block ends without error.

    An older directory of that name is replaced; it stays in place until the new one is complete.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = _temporary_beside(target), target.with_name(f".{target.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with _space_errors_named(target):
            yield temporary
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    with file.open("rb+") as handle:
                        os.fsync(handle.fileno())
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                os.replace(target, old)
            os.replace(temporary, target)
            _sync_directory(target.parent)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_file(target) as file:
        file.write(text.encode("utf-8"))


def write_json(target: Path, data: Any) -> None:
    """Write plain data as indented JSON, atomically; NaN and infinity are refused."""
    write_text(target, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_array(target: Path, array: NDArray[Any]) -> None:
    """Write one array as ``.npy``, atomically; object arrays are refused."""
    with atomic_file(target) as file:
        np.save(file, array, allow_pickle=False)
