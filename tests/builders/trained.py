"""A trained model with everything behind it: sources, text, tokenizer, pictures, index, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.torch
import torch
from builders.retrieval import PRESET, unit_vectors, write_index
from builders.texts import make_tokenizer, make_tokens, write_source

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.core.manifest import read_manifest, write_manifest
from valm.embed.towers.networks import TextTower
from valm.evaluate.scores.score import SCORES
from valm.ingest.pictures.retraction import list_retracted
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.train.saved_model import save_model

TEXTS = [f"a {colour} {thing} is {colour}. 42!" for colour in ("red", "green", "blue", "white")
         for thing in ("apple", "frog", "sky", "snowflake", "<|endoftext|> sign")]  # fmt: skip
PICTURES, TOP_K, KEY_WIDTH, VALUE_WIDTH = 30, 3, 16, 12
QUERY = {"window_tokens": 6, "stride_tokens": 3}
JOB = Job("test", {}, "c0de")


@dataclass(frozen=True)
class Trained:
    """Where everything lies.

    Attributes:
        tower: The encoder's text tower, as the package itself runs it.
    """

    results: Path
    model: Path
    tokenizer: Path
    vectors: Path
    index: Path
    tower: TextTower


def random_model(
    trunk: TrunkConfig, fusion: str, params: dict[str, Any], vocabulary: int, value_width: int
) -> LanguageModel:
    """A model whose every parameter, norms and biases too, differs from its start."""
    model = LanguageModel(trunk, make_fusion(fusion, params), vocabulary, value_width)
    initialise(model, 5)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def make_trained(
    folder: Path,
    fusion: str = "joint",
    encoder: str = "two_tower",
    tokenizer_kind: str = "bpe",
    taken_down: Path | None = None,
    query: Mapping[str, Any] | None = None,
    **entry: Any,
) -> Trained:
    """Write a small results folder that ends in a model and its scores.

    Args:
        taken_down: ``retracted.tsv``, whose pictures the index does not hold.
        query: How its pictures were found.
        entry: Keys of the index.
    """
    source = folder / "ingest/sources/wordlist.manifest.json"
    facts = {
        "holds": "words | <b>and</b> more",
        "origin": "npm wordlist==1.0.0",
        "licence": "CC0-1.0",
    }
    JOB.finish(source, kind="source", rows=1, files=[], facts=facts)
    text = _with_parents(write_source(folder / "ingest/text", "notes", TEXTS * 8), [source])
    tokenizer = make_tokenizer(folder / "ingest", [text], kind=tokenizer_kind)
    tokens = make_tokens(folder / "ingest/tokens", [text], tokenizer)
    size = read_manifest(tokenizer).rows
    made, tower = _encoder(folder / "embed/encoder", encoder, size)
    pictures = _picture_list(folder, [source])
    vectors = _with_parents(_vectors(folder), [made, pictures])
    retracted = pictures.with_name("retracted.manifest.json")
    list_retracted(JOB, pictures=pictures, file=taken_down, output=retracted)
    index = write_index(folder / "retrieve/indices", vectors, retracted=retracted, **entry)
    presets = [{"name": PRESET, "query": query or QUERY}]
    study = parse_study({"retrieve": {"top_k": TOP_K, "presets": presets}})
    choices = {"preset": PRESET, "split": "train"}
    neighbours = folder / "retrieve/neighbours" / PRESET / "train.manifest.json"
    Job("find-neighbours", section_for(study, "find-neighbours", **choices), "c0de", choices).finish(
        neighbours, kind="neighbours", rows=0, files=[], parents=[tokens, made, vectors, index],
        facts={"split": "train", "top_k": TOP_K},
    )  # fmt: skip
    trunk = TrunkConfig(layers=3, width=16, heads=2, context_tokens=48)
    reads = fusion != "none"
    model = random_model(trunk, fusion, {}, size, VALUE_WIDTH if reads else 0)
    manifest = folder / "train/valm/seed1/model.manifest.json"
    facts = {"variant": "valm", "seed": 1, "pictures": "retrieved" if reads else "none", "steps": 7}
    JOB.finish(
        manifest, kind="model", rows=model.parameter_count, facts=facts,
        files=save_model(manifest.parent, model, facts),
        parents=[tokens, vectors, neighbours] if reads else [tokens],
    )  # fmt: skip
    write_scores(folder, manifest)
    return Trained(folder, manifest, tokenizer, vectors, index, tower)


def write_scores(folder: Path, model: Path) -> Path:
    """Scores of both seeds and of another model; the manifest says whose they are."""
    row = dict.fromkeys(SCORES) | {
        "task": "colour", "metric": "accuracy", "definition": "corrected", "version": 1,
        "control": "own", "low": 0.2, "high": 0.3, "n": 121, "chance": 0.125, "majority": 0.11,
        "higher_is_better": True, "unit": "share", "status": "measured", "note": "", "licence": "",
    }  # fmt: skip
    rows = [
        row | {"model": "valm", "seed": 1, "value": 0.251},
        row | {"model": "valm", "seed": 2, "value": 0.777},
        row | {"model": "gpt2_star", "seed": 1, "value": 0.888},
    ]
    table = folder / "evaluate/scores.parquet"
    table.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=SCORES).write_parquet(table)
    manifest = folder / "evaluate/scores.manifest.json"
    JOB.finish(manifest, kind="scores", rows=len(rows), files=[table], parents=[model])
    return manifest


def _with_parents(manifest: Path, parents: Sequence[Path]) -> Path:
    """The same manifest, made from something."""
    old = read_manifest(manifest)
    write_manifest(
        manifest, kind=old.kind, rows=old.rows, files=[manifest.parent / f for f in old.files],
        producer=old.producer, config_digest=old.config_digest, code_digest=old.code_digest,
        parents=parents, facts=old.facts,
    )  # fmt: skip
    return manifest


def _encoder(folder: Path, kind: str, vocabulary: int) -> tuple[Path, TextTower]:
    torch.manual_seed(3)
    tower = TextTower(vocabulary, context_tokens=8, layers=2, width=KEY_WIDTH, colours=11).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    folder.mkdir(parents=True)
    weights = folder / "encoder.safetensors"
    tensors = {f"towers.text.{name}": value for name, value in tower.state_dict().items()}
    safetensors.torch.save_file(tensors | {"pictures.mean": torch.zeros(2)}, weights)
    manifest = folder / "encoder.manifest.json"
    JOB.finish(manifest, kind="encoder", rows=1, files=[weights], facts={"encoder": kind})
    return manifest, tower


def _vectors(folder: Path) -> Path:
    keys, values = unit_vectors(PICTURES, KEY_WIDTH), unit_vectors(PICTURES, VALUE_WIDTH, seed=1)
    files = []
    for name, table in (("keys", keys), ("values", values)):
        files.append(folder / f"embed/vectors/{name}.npy")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        np.save(files[-1], table)
    manifest = folder / "embed/vectors/vectors.manifest.json"
    JOB.finish(manifest, kind="vectors", rows=PICTURES, files=files)
    return manifest


def _picture_list(folder: Path, parents: Sequence[Path]) -> Path:
    """Every third picture is a duplicate and not kept; rows stand in no order of ids."""
    rows: list[dict[str, Any]] = []
    for number in range(PICTURES * 3 // 2):
        kept = number % 3 < 2
        rows.append({
            "id": number // 3 * 2 + number % 3 if kept else -1, "name": f"thing {number}", "caption": "",
            "source": "drawn", "origin": f"drawing {number}", "licence": "MIT", "kept": kept,
            "duplicate_of": -1 if kept else number // 3 * 2,
        })  # fmt: skip
    table = folder / "ingest/pictures/list.parquet"
    table.parent.mkdir(parents=True)
    pl.DataFrame(rows[::-1]).write_parquet(table)
    manifest = folder / "ingest/pictures/list.manifest.json"
    JOB.finish(manifest, kind="picture_list", rows=PICTURES, files=[table], parents=parents)
    return manifest
