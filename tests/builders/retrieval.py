"""Vectors, token streams and indices as the verbs before retrieval leave them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.retrieve.index import build_index

TOKEN_SPLITS = ("train", "valid", "test")


PRESET = "fixed"  # the default study's one


def retrieve_job(verb: str, index: str | None = None, **retrieve: Any) -> Job:
    """A job of a verb of retrieve under the default study with some keys changed."""
    choices = {"preset": PRESET} if index is None else {"index": index}
    return Job(
        verb, section_for(parse_study({"retrieve": retrieve}), verb, **choices), "c0de", choices
    )


def unit_vectors(rows: int, width: int = 16, seed: int = 0) -> np.ndarray[Any, Any]:
    """Random unit vectors, float16 [rows, width]."""
    vectors = np.random.default_rng(seed).standard_normal((rows, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def write_vectors(
    folder: Path, keys: np.ndarray[Any, Any], norms: np.ndarray[Any, Any] | None = None
) -> Path:
    """Write picture keys as ``embed-pictures`` does."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "keys.npy", keys)
    np.save(folder / "norms.npy", np.ones(len(keys), np.float32) if norms is None else norms)
    manifest = folder / "vectors.manifest.json"
    job = retrieve_job("find-neighbours")
    job.finish(manifest, kind="vectors", rows=len(keys), files=folder.glob("*.npy"))
    return manifest


def write_index(
    folder: Path,
    vectors: Path,
    factory: str = "Flat",
    nprobe: int = 1,
    retracted: Path | None = None,
    **entry: Any,
) -> Path:
    """Build an index named ``exact`` with a factory string, and other keys, of choice."""
    manifest = folder / "exact.manifest.json"
    entry |= {"name": "exact", "factory": factory, "nprobe": nprobe}
    job = retrieve_job("build-index", "exact", indices=[entry])
    build_index(job, vectors=vectors, index="exact", output=manifest, retracted=retracted)
    return manifest


def write_retracted(folder: Path, ids: Sequence[int]) -> Path:
    """A list of pictures that have been taken down, ids ascending, as ``list-retracted`` writes it."""
    manifest, file = folder / "retracted.manifest.json", folder / "retracted.npy"
    np.save(file, np.array(ids, np.int64))
    retrieve_job("find-neighbours").finish(manifest, kind="retracted", rows=len(ids), files=[file])
    return manifest


def write_stream(
    folder: Path, documents: Sequence[Sequence[int]], came_with: Sequence[tuple[int, int]] = ()
) -> Path:
    """Write the same documents, and which pictures which came with, as all three splits."""
    folder.mkdir(parents=True, exist_ok=True)
    offsets = np.cumsum([0, *map(len, documents)])
    for split in TOKEN_SPLITS:
        np.concatenate(documents).astype("<u2").tofile(folder / f"{split}.bin")
        np.save(folder / f"{split}.documents.npy", offsets)
        np.save(folder / f"{split}.sources.npy", np.zeros(len(documents), np.uint8))
        np.save(folder / f"{split}.came_with.npy", np.array(came_with, np.int64).reshape(-1, 2).T)
    manifest = folder / "tokens.manifest.json"
    facts = {"dtype": "uint16", "vocabulary_size": 512, "sources": ["test"]}
    retrieve_job("find-neighbours").finish(
        manifest, kind="tokens", rows=int(offsets[-1]), files=folder.glob("*.bin"), facts=facts
    )
    return manifest


def write_encoder(folder: Path) -> Path:
    """A manifest for a job to name as its encoder; a test says what is loaded for it."""
    manifest = folder / "encoder.manifest.json"
    retrieve_job("find-neighbours").finish(manifest, kind="encoder", rows=0, files=[])
    return manifest


def random_documents(count: int, longest: int, seed: int = 0) -> list[list[int]]:
    """Documents of 1 to ``longest`` random ids."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, count)
    return [generator.integers(0, 512, length).tolist() for length in lengths]
