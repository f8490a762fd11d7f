"""Takes a raw source from the data folder, else from a mirror, else by its client; verifies it."""

from __future__ import annotations

import errno
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
from valm.ingest.raw.clients import ask_for, download, fetch_package
from valm.ingest.raw.sources import PinnedFile, Source, source_named

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
    files = pinned_source.pinned_files()
    reason = None
    try:
        missing = [pinned for pinned in files if not _is_here(data / pinned.file, pinned)]
        if missing:
            _bring_all(job, pinned_source, missing, data, mirror_tree(mirror))
        logger.info("%s: %s files, as pinned", source, f"{len(files):,}")
    except SourceError as error:
        if not optional:
            raise
        reason = error.what
        logger.warning("optional source %s is unavailable: %s", source, error)
    job.finish(
        output,
        kind="source",
        rows=0 if reason else len(files),
        files=[],
        facts={
            "available": reason is None,
            "reason": reason,
            "path": str(data / pinned_source.file),
            "origin": pinned_source.origin,
            "licence": pinned_source.licence,
            "holds": pinned_source.holds,
            "bytes": pinned_source.total_bytes,
            "pinned": pinned_source.digest,
        },
    )


def mirror_tree(configured: Path | None) -> Path | None:
    """The mirror to use: the environment's VALM_MIRROR, else the configured one."""
    named = os.environ.get(MIRROR)
    return Path(named) if named else configured


def where_from(source: Source, data: Path, mirror: Path | None) -> str:
    """Say where a source would be taken from: "data folder", "mirror", or its client."""
    files = source.pinned_files()
    if all((data / pinned.file).is_file() for pinned in files):
        return "data folder"
    if all(_in_mirror(pinned, mirror) for pinned in files):
        return "mirror"
    return source.client


def reachable(source: Source, data: Path, mirror: Path | None) -> str:
    """Like ``where_from``, after asking its client or address whether it has it; for the doctor.

    Raises:
        SourceError: It can be had nowhere.
    """
    place = where_from(source, data, mirror)
    if place == source.client:
        ask_for(source)
    return place


def _is_here(path: Path, pinned: PinnedFile) -> bool:
    """Whether the verified file lies there; a wrong one is an error, since somebody put it there."""
    if not path.is_file():
        return False
    _verify(path, pinned, cure=f"delete {path} and run the same command again")
    return True


def _verify(path: Path, pinned: PinnedFile, cure: str) -> None:
    size = path.stat().st_size
    if size != pinned.bytes:
        what = f"{pinned.file} has {size:,} bytes, the lock says {pinned.bytes:,}"
        raise IntegrityError(what, where=path, cure=cure)
    if sha256_file(path) != pinned.sha256:
        raise IntegrityError(
            f"the sha256 of {pinned.file} differs from the lock", where=path, cure=cure
        )


def _in_mirror(pinned: PinnedFile, mirror: Path | None) -> bool:
    return bool(mirror and pinned.mirror_path and (mirror / pinned.mirror_path).is_file())


def _bring_all(
    job: Job, source: Source, missing: list[PinnedFile], data: Path, mirror: Path | None
) -> None:
    with job.work() as work:
        parts = work / "parts"
        shutil.rmtree(parts, ignore_errors=True)  # of a killed run
        parts.mkdir()
        for pinned in track(missing, f"fetching {source.name}", len(missing), "files"):
            _bring(source, pinned, data / pinned.file, mirror, parts)
        shutil.rmtree(parts)


def _bring(
    source: Source, pinned: PinnedFile, target: Path, mirror: Path | None, parts: Path
) -> None:
    """Fetch and verify a file in a folder for parts, then move it: the data folder holds none."""
    staged = parts / target.name
    with atomic_path(staged) as part:
        if mirror and pinned.mirror_path and _in_mirror(pinned, mirror):
            shutil.copyfile(mirror / pinned.mirror_path, part)
            cure = f"mend the mirror's file {pinned.mirror_path}"
        elif source.client != "url":
            with tempfile.TemporaryDirectory(dir=parts) as inbox:
                shutil.move(fetch_package(source, Path(inbox).resolve()), part)
            cure = "the registry served another file: run again, or use a mirror"
        elif pinned.url is not None:
            download(pinned.url, pinned.bytes, part)
            cure = "the address served another file: use a mirror"
        else:
            raise SourceError(
                f"{pinned.file} has no address: only a mirror has it", where=pinned.mirror_path,
                cure="set VALM_MIRROR to a folder laid out as <host>/<path of the url>",
            )  # fmt: skip
        _verify(part, pinned, cure)
    _move(staged, target)


def _move(staged: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(staged, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as part:  # the work folder is on another disk
            shutil.copyfile(staged, part)
        staged.unlink()
