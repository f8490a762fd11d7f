"""Takes a raw source from the data folder, else from a mirror, else by its client; verifies it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from valm.core.atomic import atomic_path
from valm.core.digest import sha256_file
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.progress import track
from valm.errors import IntegrityError, SourceError
from valm.ingest.clients import download, fetch_package
from valm.ingest.sources import PinnedFile, Source, source_named

MIRROR = "VALM_MIRROR"


def fetch_source(
    job: Job, *, source: str, data: Path, mirror: Path | None, optional: bool, output: Path
) -> None:
    """Bring a source into the data folder and write its manifest, kind "source".

    Args:
        source: Its name in ``config/sources.lock.yaml``.
        data: The data folder.
        mirror: A tree ``<host>/<path>``; the environment's VALM_MIRROR comes before it.
        optional: Record a source that cannot be had as unavailable instead of failing.

    Raises:
        SourceError: It can be had nowhere, and is not optional.
        IntegrityError: Its bytes differ from the lock.
    """
    pinned_source = source_named(source)
    tree = Path(os.environ[MIRROR]) if os.environ.get(MIRROR) else mirror
    reason = None
    try:
        files = pinned_source.pinned_files()
        missing = [pinned for pinned in files if not _is_here(data / pinned.file, pinned)]
        for pinned in track(missing, f"fetching {source}", len(missing), "files"):
            _bring(pinned_source, pinned, data / pinned.file, tree)
    except SourceError as error:
        if not optional:
            raise
        reason = str(error)
        logger.warning("optional source %s is unavailable: %s", source, reason)
    job.finish(
        output,
        kind="source",
        rows=len(files),
        files=[],
        facts={
            "available": reason is None,
            "reason": reason,
            "path": str(data / pinned_source.file),
            "origin": pinned_source.origin,
            "licence": pinned_source.licence,
            "holds": pinned_source.holds,
            "bytes": pinned_source.total_bytes,
            "sha256": pinned_source.sha256,
        },
    )


def where_from(source: Source, data: Path, mirror: Path | None) -> str:
    """Say where a source would be taken from, without fetching it: for ``valm doctor``."""
    files = source.pinned_files()
    if all((data / pinned.file).is_file() for pinned in files):
        return "in the data folder"
    if all(_in_mirror(pinned, mirror) for pinned in files):
        return "in the mirror"
    return source.origin


def _is_here(path: Path, pinned: PinnedFile) -> bool:
    """Whether the verified file lies there; a wrong one is an error, since somebody put it there."""
    if not path.is_file():
        return False
    _verify(path, pinned, cure=f"delete {path} and run the same command again")
    return True


def _verify(path: Path, pinned: PinnedFile, cure: str) -> None:
    size = path.stat().st_size
    if size != pinned.bytes:
        what = f"has {size:,} bytes, the lock says {pinned.bytes:,}"
        raise IntegrityError(what, where=path, cure=cure)
    if sha256_file(path) != pinned.sha256:
        raise IntegrityError("its sha256 differs from the lock", where=path, cure=cure)


def _in_mirror(pinned: PinnedFile, mirror: Path | None) -> bool:
    return bool(mirror and pinned.mirror_path and (mirror / pinned.mirror_path).is_file())


def _bring(source: Source, pinned: PinnedFile, target: Path, mirror: Path | None) -> None:
    with atomic_path(target) as part:
        if mirror and pinned.mirror_path and _in_mirror(pinned, mirror):
            shutil.copyfile(mirror / pinned.mirror_path, part)
            _verify(part, pinned, cure=f"mend the mirror's file {pinned.mirror_path}")
        elif source.client != "url":
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
                shutil.move(fetch_package(source, Path(folder)), part)
            _verify(part, pinned, cure="the registry served another file; run again, or report it")
        elif pinned.url is None:
            cure = "name a mirror that has it: VALM_MIRROR=<folder laid out as <host>/<path>>"
            raise SourceError("this file is in a mirror only", where=pinned.mirror_path, cure=cure)
        else:
            download(pinned, part)
            _verify(part, pinned, cure="the address served another file; use a mirror")
