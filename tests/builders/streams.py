"""Token streams with learnable patterns, neighbour tables and picture vectors, made from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from valm.config.study import Study, merge, parse_study
from valm.config.verbs import aside_for, section_for
from valm.core.atomic import write_array
from valm.core.job import Job
from valm.train.inputs import PictureFiles

SMALL: dict[str, Any] = {
    "models": {"trunk": {"layers": 3, "width": 16, "heads": 2, "context_tokens": 8}},
    "train": {
        "steps": 12,
        "sequences_per_step": 4,
        "validate_every_steps": 6,
        "validation_tokens": 64,
        "metrics_every_steps": 2,
        "checkpoint_every_steps": 4,
        "optimiser": {"warmup_steps": 3},
    },
}


@dataclass(frozen=True)
class Streams:
    """Manifests of a synthetic study's inputs to training."""

    tokens: Path
    pictures: PictureFiles


def make_streams(
    folder: Path,
    tokens: int = 2000,
    vocabulary: int = 50,
    pictures: int = 20,
    value_width: int = 16,
    top_k: int = 3,
) -> Streams:
    """Write streams in which each token follows from the one before, with random pictures."""
    generator = np.random.default_rng(7)
    job = Job("test", {}, "c0de")
    lengths = {"train": tokens, "valid": tokens // 4, "test": tokens // 4}
    streams = open_streams(folder)
    stated = {"dtype": "uint16", "vocabulary_size": vocabulary, "sources": ["made"]}
    job.finish(streams.tokens, kind="tokens", rows=tokens, files=[], facts=stated)
    job.finish(streams.pictures.vectors, kind="vectors", rows=pictures, files=[])
    parents = [streams.tokens, streams.pictures.vectors]
    follower = generator.permutation(vocabulary)
    for split, length in lengths.items():
        stream = np.zeros(length, np.uint16)
        for place in range(1, length):
            surprise = generator.random() < 0.2
            drawn = generator.integers(vocabulary)
            stream[place] = drawn if surprise else follower[stream[place - 1]]
        stream.tofile(folder_of(folder, "tokens") / f"{split}.bin")
        write_array(folder / "tokens" / f"{split}.documents.npy", np.array([0, length]))
        write_array(folder / "tokens" / f"{split}.sources.npy", np.zeros(1, np.uint8))
        write_array(folder / "tokens" / f"{split}.came_with.npy", np.zeros((2, 0), np.int64))
        ids = generator.integers(-1, pictures, (length, top_k)).astype(np.int32)
        columns = {
            "ids": ids,
            "mask": ids >= 0,
            "scores": np.where(ids >= 0, 0.5, 0.0).astype(np.float16),
            "values": generator.normal(size=(length, value_width)).astype(np.float16),
        }
        for name, column in columns.items():
            write_array(folder / "neighbours" / f"{split}.{name}.npy", column)
        neighbours = folder / "neighbours" / f"{split}.manifest.json"
        facts = {"split": split}
        job.finish(
            neighbours, kind="neighbours", rows=length, files=[], parents=parents, facts=facts
        )
    values = generator.normal(size=(pictures, value_width)).astype(np.float16)
    write_array(streams.pictures.vectors.with_name("values.npy"), values)
    return streams


def open_streams(folder: Path) -> Streams:
    """The streams that ``make_streams`` wrote into a folder."""
    neighbours = {
        split: folder / "neighbours" / f"{split}.manifest.json" for split in ("train", "valid")
    }
    vectors = folder / "vectors" / "vectors.manifest.json"
    return Streams(folder / "tokens" / "tokens.manifest.json", PictureFiles(vectors, neighbours))


def folder_of(folder: Path, name: str) -> Path:
    """A folder that exists."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / name


def training_job(model: str, seed: int = 1, changes: dict[str, Any] | None = None) -> Job:
    """A job of ``train-model`` under a small study with some keys changed."""
    study: Study = parse_study(merge(SMALL, changes or {}))
    section, aside = section_for(study, "train-model", model=model), aside_for(study, "train-model")
    choices = {"model": model, "seed": seed}
    return Job("train-model", section, code="c0de", choices=choices, aside=aside)
