"""Manifests: the small JSON files beside large artifacts that say what they are.

Rules take manifests as inputs and the data as ``ancient()``, so a checksum of a few hundred bytes
decides what runs again. A manifest holds no time and no path of the machine: the same work gives
the same manifest. It is written last, after the files that it names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from valm.core.atomic import write_text
from valm.core.digest import digest_data, sha256_file
from valm.errors import InputError, IntegrityError

SCHEMA_VERSION = 1
MAXIMUM_MANIFEST_BYTES = 1 << 20  # Snakemake compares inputs under 1 MB by checksum


class FileEntry(BaseModel):
    """One file of an artifact: its sha256 and size."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sha256: str
    bytes: int


class Recipe(BaseModel):
    """What a job was handed, so that words can name the key or the module that has changed since.

    Attributes:
        section: The nodes of the configuration that its verb reads, by dotted key path.
        choices: What it was asked to work on (a split, a model, a seed).
        modules: The digest of each module behind it, by dotted name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: dict[str, Any] = Field(default_factory=dict)
    choices: dict[str, str | int] = Field(default_factory=dict)
    modules: dict[str, str] = Field(default_factory=dict)


class Manifest(BaseModel):
    """What an artifact is and what it was made from.

    Attributes:
        kind: What the artifact is ("tokens", "vectors", "index", ...).
        rows: Number of rows, tokens or pictures; what is counted depends on the kind.
        files: Files by name relative to the manifest's folder.
        producer: The verb that made it.
        config_digest: Digest of the config section and choices that the verb was handed.
        code_digest: Fingerprint of the modules that the verb imports.
        recipe: What those two digests were taken of.
        parents: Digests of the manifests that it was made from, by their paths from this one's folder.
        facts: Whatever else a reader wants to know; plain JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str
    schema_version: int = SCHEMA_VERSION
    rows: int
    files: dict[str, FileEntry] = Field(default_factory=dict)
    producer: str
    config_digest: str
    code_digest: str
    recipe: Recipe = Field(default_factory=Recipe)
    parents: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A 16-digit digest of the whole manifest."""
        return digest_data(self.model_dump())

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the job that made it, by which its work directory was named."""
        return job_fingerprint(self.config_digest, self.code_digest, self.parents.values())


def job_fingerprint(config: str, code: str, parents: Iterable[str]) -> str:
    """Digest of everything that a job's result depends on: the digests of config, code and inputs."""
    return digest_data([config, code, sorted(parents)])


def write_manifest(
    path: Path,
    *,
    kind: str,
    rows: int,
    files: Iterable[Path],
    producer: str,
    config_digest: str,
    code_digest: str,
    recipe: Recipe | None = None,
    parents: Iterable[Path] = (),
    facts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Hash the files, then write the manifest beside them, atomically and last.

    Args:
        path: ``<something>.manifest.json``; the files lie in its folder or below.
        parents: Manifests of the inputs.
    """
    manifest = Manifest(
        kind=kind,
        rows=rows,
        files={
            file.relative_to(path.parent).as_posix(): FileEntry(
                sha256=sha256_file(file), bytes=file.stat().st_size
            )
            for file in sorted(files)
        },
        producer=producer,
        config_digest=config_digest,
        code_digest=code_digest,
        recipe=recipe or Recipe(),
        parents={
            Path(os.path.relpath(parent, path.parent)).as_posix(): read_manifest(parent).digest
            for parent in sorted(parents)
        },
        facts=dict(facts or {}),
    )
    write_text(path, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def read_manifest(path: Path, kind: str | None = None) -> Manifest:
    """Read and validate a manifest.

    Raises:
        InputError: It is missing, too large, malformed, or of another kind.
    """
    cure = "run the study again: the workflow makes what is missing"
    if not path.is_file():
        raise InputError("a manifest is missing", where=path, cure=cure)
    if path.stat().st_size > MAXIMUM_MANIFEST_BYTES:
        raise InputError("a manifest is larger than 1 MiB", where=path, cure="delete it and rerun")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"a manifest is malformed: {key}: {first['msg']}", where=path, cure=cure
        ) from error
    if kind is not None and manifest.kind != kind:
        raise InputError(
            f"expected a manifest of kind {kind!r}, found {manifest.kind!r}", where=path
        )
    return manifest


def verify_files(path: Path) -> Manifest:
    """Hash every file that a manifest names and compare.

    Raises:
        IntegrityError: A file is missing or its bytes differ.
    """
    manifest = read_manifest(path)
    for name, entry in manifest.files.items():
        file = path.parent / name
        cure = f"delete {path} and run the study again"
        if not file.is_file():
            raise IntegrityError("a file named by a manifest is missing", where=file, cure=cure)
        if file.stat().st_size != entry.bytes or sha256_file(file) != entry.sha256:
            raise IntegrityError("a file differs from its manifest", where=file, cure=cure)
    return manifest


def check_parents(path: Path) -> Manifest:
    """Compare the inputs that an artifact was made from with those that lie there now.

    An input that is not there at all is no difference: a part of a study may have been fetched alone.

    Raises:
        IntegrityError: An input has been made anew since, and this artifact has not.
    """
    manifest = read_manifest(path)
    for name, digest in manifest.parents.items():
        parent = Path(os.path.normpath(path.parent / name))
        if parent.is_file() and read_manifest(parent).digest != digest:
            raise IntegrityError(
                f"it was made from another {parent} than lies there now",
                where=path,
                cure=f"see why, then run the study again: valm explain {path}",
            )
    return manifest
