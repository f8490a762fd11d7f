"""What two studies share is made once: which results there are, by what their jobs were asked.

A job with the verb, configuration, code and inputs of a finished job of another study gives the same
bytes, so their files are linked in and not made. An entry ``results/shared/<verb>/<fingerprint>/
<study>.json`` says that a study has such a result. None is believed: the manifest must be of this very
job, and each file have its sha256 after it was linked, before it takes its name.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from valm.core.atomic import atomic_path, write_json, write_text
from valm.core.digest import sha256_file
from valm.core.logs import logger
from valm.core.manifest import FileEntry, Manifest, read_manifest
from valm.core.work import LOCK
from valm.errors import InputError, IntegrityError

FOLDER = "shared"  # below the tree of all results
SWITCH = "VALM_SHARE"  # 0: every job is done where it is asked, and none is offered


@dataclass(frozen=True)
class Asked:
    """A job as it was asked for, before it is done.

    Attributes:
        tree: The folder of all studies' results.
        study: Name of the study that asks.
        verb: What is to be done.
        fingerprint: Digest of all that the result depends on, and of where it lies to its inputs.
        section: The configuration that the job is handed.
        code: Fingerprint of the code behind it.
        parents: Digests of the manifests that it takes, by their paths from the result's folder.
        manifest: What it is to write, from the tree.
        benchmark: What Snakemake measures of it, from the tree.
        histories: Files beside the manifest, and not in it, that tell how the making went.
        always_done: It is done in any case; that another study has it only tells what comes out.
    """

    tree: Path
    study: str
    verb: str
    fingerprint: str
    section: Mapping[str, Any]
    code: str
    parents: Mapping[str, str]
    manifest: str
    benchmark: str
    histories: tuple[str, ...] = ()
    always_done: bool = False

    @property
    def place(self) -> Path:
        """The folder of the entries of all studies that have its result."""
        return self.tree / FOLDER / self.verb / self.fingerprint


def _stays_inside(name: str) -> str:
    """A path out of a file, if it stays below the folder that it is meant from."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {name!r} leads out of its folder")
    return name


Inside = Annotated[str, AfterValidator(_stays_inside)]


class Entry(BaseModel):
    """One study's result of a job.

    Attributes:
        manifest: Where it lies, from the tree of all results.
        digest: The manifest's digest.
        made_by: The study that did the work.
        benchmark: What Snakemake measured of it there, from the tree.
        histories: The files beside the manifest, and not in it, that tell how the making went.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    manifest: Inside
    digest: str
    made_by: str
    benchmark: Inside
    histories: dict[str, FileEntry] = Field(default_factory=dict)

    @property
    def benchmark_of_taker(self) -> str:
        """Where Snakemake writes how long the taking took, from the taker's results."""
        parts = PurePosixPath(self.benchmark).parts
        return "/".join(parts[2:] if parts[0] == "studies" else parts)


def made_once(asked: Asked, make: Callable[[], None]) -> None:
    """Take the result from another study that has it, or make it; then other studies may take it.

    Two studies that ask for the same thing at the same time wait for each other. The lock ends with
    its process, kill -9 included.

    Args:
        make: Does the work, and writes the manifest last.
    """
    with _alone(asked.place):
        taken = None if asked.always_done else _take(asked)
        if taken is None:
            make()
        offer(asked, taken)


def offer(asked: Asked, taken: Entry | None = None) -> None:
    """Note that a study has the result of a job.

    Args:
        taken: The entry by which it came from another study; None if the work was done here.
    """
    manifest = asked.tree / asked.manifest
    beside = [manifest.with_name(name) for name in asked.histories]
    entry = Entry(
        manifest=asked.manifest,
        digest=read_manifest(manifest).digest,
        made_by=taken.made_by if taken else asked.study,
        benchmark=taken.benchmark if taken else asked.benchmark,
        histories={
            file.name: FileEntry(sha256=sha256_file(file), bytes=file.stat().st_size)
            for file in beside
            if file.is_file()
        },
    )
    write_json(asked.place / f"{asked.study}.json", entry.model_dump())


def offered(asked: Asked) -> Iterator[tuple[Entry, Manifest]]:
    """The results of a job that other studies say they have; their files have not been looked at."""
    for file in sorted(asked.place.glob("*.json")):
        found = _read(asked.tree, file) if file.stem != asked.study else None
        if found is None:
            continue
        entry, manifest = found
        if entry.histories.keys() != set(asked.histories):
            continue
        made = (manifest.producer, manifest.code_digest, manifest.recipe.section)
        if made == (asked.verb, asked.code, asked.section) and all(
            asked.parents.get(name) == digest for name, digest in manifest.parents.items()
        ):
            yield found
        else:
            logger.warning("%s is not taken: %s is of another job", file, entry.manifest)


def taken_by(tree: Path, study: str) -> list[Entry]:
    """What a study took from others and still has.

    Args:
        tree: The folder of all studies' results.
    """
    found = [_read(tree, file) for file in sorted((tree / FOLDER).glob(f"*/*/{study}.json"))]
    return [entry for entry, _ in filter(None, found) if entry.made_by != study]


def leads_nowhere(tree: Path) -> Iterator[tuple[Path, str]]:
    """Entries whose result is gone or another, or their whole folder; each with why it can go."""
    for place in sorted((tree / FOLDER).glob("*/*/")):
        entries = sorted(place.glob("*.json"))
        stale = [file for file in entries if _read(tree, file) is None]
        if len(stale) < len(entries):
            yield from ((file, "the result that it offers is gone or another") for file in stale)
        elif not _is_held(place):
            yield place, "no study has what it offers"


def _read(tree: Path, file: Path) -> tuple[Entry, Manifest] | None:
    """An entry and the manifest that it leads to; None if that one is gone or is another now."""
    try:
        entry = Entry.model_validate_json(file.read_bytes())
        manifest = read_manifest(tree / entry.manifest)
    except (OSError, ValidationError, InputError):
        return None
    return (entry, manifest) if manifest.digest == entry.digest else None


def _take(asked: Asked) -> Entry | None:
    """Link a result in; None if no other study has it whole."""
    target = asked.tree / asked.manifest
    for entry, manifest in offered(asked):
        source = (asked.tree / entry.manifest).parent
        try:
            for name, file in (manifest.files | entry.histories).items():
                _bring(source / _stays_inside(name), target.parent / name, file)
        except (OSError, ValueError, IntegrityError) as error:
            logger.warning("%s is not taken: %s", entry.manifest, error)
            continue
        write_text(target, manifest.model_dump_json(indent=1) + "\n")
        logger.info("taken from %s, made by the study %s", entry.manifest, entry.made_by)
        return entry
    return None


def _bring(source: Path, target: Path, expected: FileEntry) -> None:
    """Give a file of another study a second name; copy it where that cannot be or should not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not the name by which a writer would open its temporary file: nobody writes through a link.
    link = target.with_name(f".{target.name}.taken.{os.getpid()}.part")
    link.unlink(missing_ok=True)
    try:
        if _may_link(source) and _linked(source, link):
            _check(link, source, expected)
            os.replace(link, target)
            return
    finally:
        link.unlink(missing_ok=True)
    with atomic_path(target) as copy:
        copy.unlink(missing_ok=True)
        shutil.copyfile(source, copy)
        _check(copy, source, expected)


def _may_link(source: Path) -> bool:
    """Whether it is a plain file of ours: DVC's cache hands out links and read-only files."""
    mode = source.lstat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IWUSR)


def _linked(source: Path, link: Path) -> bool:
    try:
        os.link(source, link)
    except OSError:  # another disk, or one that knows no links
        return False
    return True


def _check(file: Path, source: Path, expected: FileEntry) -> None:
    if file.stat().st_size != expected.bytes or sha256_file(file) != expected.sha256:
        raise IntegrityError(
            "a file differs from its manifest",
            where=source,
            cure="find the study's damage: valm verify",
        )


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold a place; who comes second waits until the first has finished."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another study is doing exactly this: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_held(place: Path) -> bool:
    with (place / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
