"""The raw files of all studies, as ``config/sources.lock.yaml`` pins them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from valm.core.digest import digest_data
from valm.core.manifest import read_manifest
from valm.core.registry import did_you_mean
from valm.errors import ConfigError

LOCK = Path("config/sources.lock.yaml")
SHA256 = r"^[0-9a-f]{64}$"


class PinnedFile(BaseModel):
    """One file with its sha256; ``mirror_path`` is where a mirror holds it, below its root."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    sha256: str = Field(pattern=SHA256)
    bytes: int = Field(gt=0)
    url: str | None
    mirror_path: str | None

    @field_validator("file")
    @classmethod
    def _stays_in_the_data_folder(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or path == PurePosixPath():
            raise ValueError(f"{file!r} is no name below the data folder")
        return file


class Source(BaseModel):
    """One raw source: a package, a file with an address, or a collection of such files.

    Attributes:
        client: What fetches it; a ``url`` source without ``url`` is in a mirror only.
        url: Address of the file, or of the folder that a collection's files lie in.
        file: Its name in the data folder; a collection is a folder there.
        files: For a collection, the table of its files, beside the lock: file, sha256, bytes, and
            ``elsewhere`` for a file with an address, or a path in a mirror, of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    client: Literal["npm", "pip", "apt", "url"]
    package: str | None = None
    version: str | None = None
    url: str | None = None
    mirror_path: str | None = None
    file: str
    files: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    licence: str
    holds: str

    @model_validator(mode="after")
    def _is_complete(self) -> Source:
        if self.client != "url" and not (self.package and self.version):
            raise ValueError("a package needs package and version")
        if self.files is None and not (self.sha256 and self.bytes):
            raise ValueError("a file needs sha256 and bytes")
        return self

    @property
    def origin(self) -> str:
        """Where it comes from, for people: package and version, or address."""
        if self.client != "url":
            return f"{self.client} {self.package}=={self.version}"
        return self.url or "a mirror only"

    @property
    def total_bytes(self) -> int:
        """Size of all its files."""
        return sum(pinned.bytes for pinned in self.pinned_files())

    @property
    def digest(self) -> str:
        """Digest of what is pinned: names and sha256 of all its files."""
        return digest_data([[pinned.file, pinned.sha256] for pinned in self.pinned_files()])

    def pinned_files(self) -> list[PinnedFile]:
        """Its files, each with sha256 and address.

        Raises:
            ConfigError: The table of a collection is missing or malformed.
        """
        if self.files is None:
            assert self.sha256 is not None and self.bytes is not None  # _is_complete
            path = self.mirror_path or _mirror_path(self.url)
            return [
                PinnedFile(file=self.file, sha256=self.sha256, bytes=self.bytes, url=self.url,
                           mirror_path=path)
            ]  # fmt: skip
        table = LOCK.parent / self.files
        try:
            with table.open(encoding="utf-8", newline="") as file:
                return [self._pinned_row(row) for row in csv.DictReader(file, delimiter="\t")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"a table of pinned files is malformed: {error}", where=table
            ) from error

    def _pinned_row(self, row: dict[str, str]) -> PinnedFile:
        elsewhere = row["elsewhere"]
        in_a_mirror_only = bool(elsewhere) and "://" not in elsewhere
        url = None if in_a_mirror_only else elsewhere or f"{self.url}{row['file']}"
        return PinnedFile(
            file=f"{self.file}/{row['file']}",
            sha256=row["sha256"],
            bytes=int(row["bytes"]),
            url=url,
            mirror_path=elsewhere if in_a_mirror_only else _mirror_path(url),
        )


def _mirror_path(url: str | None) -> str | None:
    """``https://host/path`` -> ``host/path``, the layout of a mirror."""
    return None if url is None else url.split("://", 1)[1]


@cache
def load_sources(lock: Path = LOCK) -> dict[str, Source]:
    """All pinned sources by name.

    Raises:
        ConfigError: The lock is missing or malformed.
    """
    try:
        rows = yaml.safe_load(lock.read_text(encoding="utf-8"))
        return {row["name"]: Source.model_validate(row) for row in rows}
    except OSError as error:
        cure = "run inside the repository"
        raise ConfigError("there is no sources lock here", where=lock, cure=cure) from error
    except (yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise ConfigError(f"the sources lock is malformed: {error}", where=lock) from error


def source_named(name: str) -> Source:
    """Look a source up.

    Raises:
        ConfigError: The lock names no such source.
    """
    sources = load_sources()
    if name not in sources:
        raise ConfigError(
            f"no raw source named {name!r}", where=LOCK, cure=did_you_mean(name, sources)
        )
    return sources[name]


def raw_path(manifest: Path) -> Path | None:
    """Where a fetched source lies; None where an optional one is unavailable."""
    facts = read_manifest(manifest, kind="source").facts
    return Path(facts["path"]) if facts["available"] else None
