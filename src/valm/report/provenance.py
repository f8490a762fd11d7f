"""Where every number comes from: sources with licences, manifests, seeds, versions."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import polars as pl

from valm.core.manifest import Manifest

PACKAGES = (
    "valm", "torch", "torchvision", "timm", "open_clip_torch", "faiss-cpu", "transformers", "tokenizers",
    "pytorch-lightning", "numpy", "pyarrow", "polars", "scipy", "snakemake",
)  # fmt: skip
GIT_SECONDS = 60
SOURCE_FACTS = ("holds", "origin", "licence", "bytes", "available", "reason")


@dataclass(frozen=True)
class Checkout:
    """The state of the git repository that a folder lies in.

    Attributes:
        commit: The commit that is checked out.
        changed: Tracked files that differ from it, relative to the repository.
    """

    commit: str
    changed: tuple[str, ...]


def checkout(folder: Path) -> Checkout | None:
    """The repository around a folder; None if there is none, or no git."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "diff", "--name-only", "-z", "HEAD")
    if commit is None or changed is None:
        return None
    return Checkout(commit.strip(), tuple(filter(None, changed.split("\0"))))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, errors="replace", timeout=GIT_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout


def sources(manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    """One row a raw source: ``source, holds, origin, licence, bytes, available, reason``."""
    rows = [
        {
            "source": name,
            **{fact: manifest.facts.get(fact) for fact in SOURCE_FACTS},
        }
        for name, manifest in manifests.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def artifacts(manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    """One row a manifest: ``artifact, kind, rows, bytes, verb, config, code, digest``.

    ``bytes`` are null where a manifest is all there is: facts alone, or a raw file that lies in ``data/``.
    """
    rows = [
        {
            "artifact": name,
            "kind": manifest.kind,
            "rows": manifest.rows,
            "bytes": sum(entry.bytes for entry in manifest.files.values()) or None,
            "verb": manifest.producer,
            "config": manifest.config_digest,
            "code": manifest.code_digest,
            "digest": manifest.digest,
        }
        for name, manifest in manifests.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def seeds(models: Mapping[str, Manifest]) -> pl.DataFrame:
    """One row a trained variant: ``model, seeds, parameters``."""
    rows = [
        {
            "model": m.facts.get("variant", name),
            "seed": m.facts.get("seed"),
            "parameters": m.rows,
        }
        for name, m in models.items()
    ]
    if not rows:
        return pl.DataFrame()
    return (
        pl.DataFrame(rows)
        .sort("model", "seed")
        .group_by("model", maintain_order=True)
        .agg(
            seeds=pl.col("seed").cast(pl.String).str.join(", "),
            parameters=pl.col("parameters").max(),
        )
    )


def versions() -> pl.DataFrame:
    """Python and the packages that the results depend on: ``package, version``."""
    rows = [{"package": "Python", "version": platform.python_version()}]
    for package in PACKAGES:
        try:
            rows.append({"package": package, "version": version(package)})
        except PackageNotFoundError:
            continue  # each phase has an environment of its own
    return pl.DataFrame(rows)
