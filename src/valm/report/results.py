"""A study's results folder, read: manifests, frames and the small JSON files. Nothing is computed.

What a study does not have is an empty frame or ``None``: the report says so in its place.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from valm.config.study import DEFAULT_STUDY
from valm.core.manifest import Manifest, read_manifest
from valm.core.shared import taken_by
from valm.errors import InputError
from valm.ingest.pictures.retracted import retracted_beside
from valm.ingest.text.documents import read_documents

MAXIMUM_JSON_BYTES = 64 << 20
SUFFIX = ".manifest.json"
PHASES = ("ingest", "embed", "retrieve", "train", "evaluate", "report")


@dataclass(frozen=True)
class Results:
    """The folder ``results/`` of the default study or ``results/studies/<name>/``."""

    root: Path

    def path(self, *parts: str) -> Path:
        """A path below the folder."""
        return self.root.joinpath(*parts)

    def manifest(self, *parts: str) -> Manifest | None:
        """The manifest at a path below the folder, without its suffix; None if it is not there."""
        path = self.path(*parts[:-1], parts[-1] + SUFFIX)
        return read_manifest(path) if path.is_file() else None

    def manifests(self, *parts: str) -> dict[str, Manifest]:
        """All manifests below a folder, by their path relative to it without the suffix."""
        folder = self.path(*parts)
        found = sorted(folder.rglob(f"*{SUFFIX}"))
        return {
            path.relative_to(folder).as_posix().removesuffix(SUFFIX): read_manifest(path)
            for path in found
        }

    def made(self) -> dict[str, Manifest]:
        """The manifests of all phases before the report's, by their path: this study's alone.

        The default study's folder holds the others' results, too.
        """
        return {
            f"{phase}/{name}": manifest
            for phase in PHASES[:-1]
            for name, manifest in self.manifests(phase).items()
        }

    def frame(self, *parts: str) -> pl.DataFrame:
        """A parquet file as a frame; an empty frame if it is not there."""
        path = self.path(*parts)
        return pl.read_parquet(path) if path.is_file() else pl.DataFrame()

    def shown_pictures(self) -> pl.DataFrame:
        """The pictures that may be shown: kept ones that nobody has taken down, by id."""
        listed = self.frame("ingest", "pictures", "list.parquet")
        if listed.is_empty():
            return listed
        gone = retracted_beside(self.path("ingest", "pictures", "list.parquet"))
        return listed.filter("kept", ~pl.col("id").is_in(gone.tolist())).sort("id")

    def json(self, *parts: str) -> Any:
        """A JSON file's content, None if it is not there.

        Raises:
            InputError: It is larger than 64 MiB or not JSON.
        """
        path = self.path(*parts)
        if not path.is_file():
            return None
        if path.stat().st_size > MAXIMUM_JSON_BYTES:
            raise InputError("a JSON file is larger than 64 MiB", where=path)
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise InputError(
                f"not JSON: {error}", where=path, cure="run the study again"
            ) from error

    def training_logs(self) -> pl.DataFrame:
        """Every model's ``metrics.jsonl`` in one frame, with its model and seed."""
        logs = []
        for path in sorted(self.path("train").glob("*/seed*/metrics.jsonl")):
            model, seed = path.parts[-3], int(path.parts[-2].removeprefix("seed"))
            log = pl.read_ndjson(path, infer_schema_length=None)
            logs.append(log.with_columns(model=pl.lit(model), seed=pl.lit(seed)))
        return pl.concat(logs, how="diagonal_relaxed") if logs else pl.DataFrame()

    @property
    def study(self) -> str:
        """The study's name."""
        return self.root.name if self.root.parent.name == "studies" else DEFAULT_STUDY

    @property
    def tree(self) -> Path:
        """The folder of all studies' results."""
        return self.root.parents[1] if self.root.parent.name == "studies" else self.root

    def made_by_others(self) -> dict[str, str]:
        """The study that did the work, by the result's path below the folder, without its suffix."""
        return {
            (self.tree / entry.manifest)
            .relative_to(self.root)
            .as_posix()
            .removesuffix(SUFFIX): entry.made_by
            for entry in taken_by(self.tree, self.study)
        }

    def benchmarks(self) -> pl.DataFrame:
        """Snakemake's benchmark files in one frame: rule, job, made_by, then Snakemake's columns.

        Of a job whose result was taken from another study stands what it cost there, and that study
        as ``made_by``; the columns are null if nothing measured it, ``made_by`` if it ran here.
        """
        folder = self.path("benchmarks")
        taken = {entry.benchmark_of_taker: entry for entry in taken_by(self.tree, self.study)}
        frames = []
        for path in sorted(folder.rglob("*.tsv")):
            rule, *job = path.relative_to(folder).with_suffix("").parts
            entry = taken.get(path.relative_to(self.root).as_posix())
            measured = self.tree / entry.benchmark if entry else path
            table = _measured(measured) if measured.is_file() else pl.DataFrame({"s": [None]})
            known = {"rule": rule, "job": "/".join(job), "made_by": entry and entry.made_by}
            frames.append(
                table.with_columns(pl.lit(v, pl.String).alias(k) for k, v in known.items())
            )
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def documents(self, source: str, count: int, among: int = 400) -> list[str]:
        """A few documents of a text source, evenly spaced among its first ones."""
        path = self.path("ingest", "text", f"{source}.txt.xz")
        if not path.is_file():
            return []
        first = [" ".join(d.split()) for d in islice(read_documents(path), among)]
        return first[:: max(1, len(first) // count)][:count]


def _measured(benchmark: Path) -> pl.DataFrame:
    return pl.read_csv(benchmark, separator="\t", null_values=["NA", "-"], infer_schema=False)


def parent_of(manifest: Manifest, path: Path, kind: str) -> tuple[Manifest, Path] | None:
    """The first of a manifest's parents that is of a kind, with its path; None if it is not there.

    Args:
        path: Where the manifest lies; its parents are named from there.
    """
    for name in sorted(manifest.parents):
        place = Path(os.path.normpath(path.parent / name))
        if place.is_file() and (found := read_manifest(place)).kind == kind:
            return found, place
    return None
