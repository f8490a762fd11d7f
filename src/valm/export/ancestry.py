"""What a result was made from: the manifests behind a manifest, found by their digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from valm.core.manifest import Manifest, read_manifest
from valm.errors import InputError

SUFFIX = ".manifest.json"


@dataclass(frozen=True)
class Ancestry:
    """A manifest and all that it comes from.

    Attributes:
        found: Paths by digest; the manifest itself is the first.
        missing: Digests, by name, of parents that do not lie in the searched folder.
    """

    found: Mapping[str, Path]
    missing: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Path, results: Path) -> Ancestry:
        """Follow the parents' digests through all manifests of a folder.

        Raises:
            InputError: The manifest is missing or malformed.
        """
        by_digest = {read_manifest(p).digest: p for p in sorted(results.rglob(f"*{SUFFIX}"))}
        start = read_manifest(manifest)
        found, missing, left = {start.digest: manifest}, {}, [start]
        while left:
            for name, digest in sorted(left.pop().parents.items()):
                if digest in found:
                    continue
                if digest in by_digest:
                    found[digest] = by_digest[digest]
                    left.append(read_manifest(by_digest[digest]))
                else:
                    missing[name] = digest
        return cls(found, missing)

    def manifests(self, kind: str | None = None) -> dict[Path, Manifest]:
        """The manifests, of one kind if one is named, by path."""
        read = {path: read_manifest(path) for path in self.found.values()}
        return {path: m for path, m in read.items() if kind is None or m.kind == kind}

    def only(self, kind: str, what: str) -> Path:
        """The path of the one manifest of a kind.

        Args:
            what: What it is called in the message.

        Raises:
            InputError: There is none, or more than one.
        """
        paths = list(self.manifests(kind))
        if len(paths) != 1:
            raise InputError(
                f"the model's {what} should be one artifact of kind {kind!r}, found {len(paths)}",
                where=next(iter(self.found.values())),
                cure="name the folder of results that the model was trained from (--results)",
            )
        return paths[0]
