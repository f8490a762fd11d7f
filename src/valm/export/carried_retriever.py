"""The retriever that rides along with an exported model, as a folder that runs without this package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import safetensors.torch
from numpy.typing import NDArray

from valm.config.retrieve import Query
from valm.core.manifest import read_manifest, verify_files
from valm.embed.encoder import KIND as ENCODER_KIND
from valm.embed.towers.networks import TEXT_HEADS
from valm.errors import InputError
from valm.export.ancestry import Ancestry
from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.pictures.retracted import KIND as RETRACTED_KIND
from valm.ingest.pictures.retracted import retracted_ids
from valm.ingest.pictures.retraction import listed_ids, read_retracted
from valm.retrieve.index import KIND as INDEX_KIND

LOADER = Path(__file__).with_name("valm_retriever.py")
# The one encoder whose text tower is the study's own and small enough to carry.
CARRIED = "two_tower"
PRESETS = "retrieve.presets"
TOWER, BLOCKS = "towers.text.transformer.", "transformer.resblocks."
SHOWN = ["id", "name", "caption", "source", "origin", "licence"]


def write_retriever(folder: Path, ancestry: Ancestry, retracted: Path) -> None:
    """Write the text tower, the index, the pictures' values and captions, and their loader.

    Args:
        ancestry: Of a model that was trained on retrieved pictures.
        retracted: The list of all pictures that have been taken down; there may be none.

    Raises:
        InputError: The model was trained without pictures, or with another maker's encoder, or by
            queries in chunks, or its index still holds pictures that have been taken down.
        IntegrityError: A file differs from its manifest.
    """
    query, top_k = query_of(ancestry)
    if query.scheme != "windows":
        raise InputError(
            f"the model found its pictures by {query.scheme}, which no exported retriever forms",
            cure="export without --retriever",
        )
    encoder = ancestry.only(ENCODER_KIND, "encoder")
    vectors = ancestry.only("vectors", "table of picture vectors")
    index = ancestry.only(INDEX_KIND, "index")
    for manifest in (encoder, vectors, index):
        verify_files(manifest)
    if len(read_manifest(index).files) > 1:
        raise InputError(
            "the index was built by parts and lies on disk, so no retriever carries it",
            where=index,
            cure="export without --retriever",
        )
    pictures = ancestry.only("picture_list", "list of pictures")
    gone = _taken_down(ancestry, index, pictures, retracted)
    folder.mkdir()
    tower = _write_text_tower(encoder, folder)
    searched = read_manifest(index).facts
    settings = {
        "window_tokens": query.window_tokens,
        "stride_tokens": query.stride_tokens,
        "top_k": top_k,
        "minimum_score": searched.get("minimum_score"),
        "end_of_text_id": _end_of_text(ancestry),
        "text_tower": tower,
    }
    (folder / "retriever.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(index.with_name(f"{searched['index']}.faiss"), folder / "index.faiss")
    shutil.copyfile(LOADER, folder / LOADER.name)
    _write_values(vectors, folder / "values.npy", gone)
    _write_captions(pictures, folder / "captions.parquet", gone)


def taken_down_before(ancestry: Ancestry) -> NDArray[np.int64]:
    """Ids of the pictures that had been taken down when a model was trained, ascending."""
    found = [retracted_ids(path) for path in ancestry.manifests(RETRACTED_KIND)]
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))


def _taken_down(
    ancestry: Ancestry, index: Path, pictures: Path, retracted: Path
) -> NDArray[np.int64]:
    """Ids of the pictures that the index was built without, which are all that have been taken down."""
    without = taken_down_before(ancestry)
    left = np.setdiff1d(listed_ids(pictures, read_retracted(retracted)), without)
    if len(left):
        raise InputError(
            f"the model's index still holds {len(left)} pictures that have been taken down",
            where=index,
            cure="run the study again, then export",
        )
    return without


def _write_values(vectors: Path, file: Path, gone: NDArray[np.int64]) -> None:
    """A row for every picture, because a row is an id; zeros for those that have been taken down."""
    shutil.copyfile(vectors.with_name("values.npy"), file)
    if len(gone):
        values = np.load(file, mmap_mode="r+", allow_pickle=False)
        values[gone] = 0
        values.flush()


def _write_captions(pictures: Path, file: Path, gone: NDArray[np.int64]) -> None:
    """A row for every picture; nothing is said of those that have been taken down."""
    listed = read_picture_list(pictures)
    kept = listed.filter(listed.column("kept")).select(SHOWN).sort_by("id")
    silent = pa.array(np.isin(kept.column("id").to_numpy(), gone))
    for place, name in enumerate(SHOWN[1:], start=1):
        said = pc.if_else(silent, "", kept.column(name))
        kept = kept.set_column(place, kept.schema.field(name), said)
    pq.write_table(kept, file)


def query_of(ancestry: Ancestry) -> tuple[Query, int]:
    """How the pictures of a model's tokens were looked up, and how many a token has.

    Raises:
        InputError: The model was trained without pictures, or long ago.
    """
    models = ancestry.manifests()
    online = {p: m for p, m in models.items() if m.kind == "model" and PRESETS in m.recipe.section}
    neighbours = ancestry.manifests("neighbours") or online
    if not neighbours:
        raise InputError(
            "the model was trained without pictures, so no retriever goes with it",
            cure="export it without --retriever",
        )
    path, found = next(iter(neighbours.items()))
    presets = found.recipe.section.get(PRESETS)
    if not presets:
        raise InputError(
            "the manifest of the model's neighbours does not state its settings",
            where=path,
            cure="it is of an older version: run the study again",
        )
    model = next(iter(ancestry.manifests().values()))
    top_k = model.facts.get("top_k") or found.recipe.section["retrieve.top_k"]
    return Query.model_validate(presets[0]["query"]), int(top_k)


def _write_text_tower(encoder: Path, folder: Path) -> dict[str, int]:
    """Write the text tower's tensors; return its sizes."""
    kind = read_manifest(encoder).facts["encoder"]
    if kind != CARRIED:
        raise InputError(
            f"the encoder {kind!r} is another maker's model, which is not carried along",
            where=encoder,
            cure="export without --retriever, and retrieve through valm and that model",
        )
    tensors = {
        name.removeprefix(TOWER).replace(BLOCKS, "blocks."): tensor
        for name, tensor in safetensors.torch.load_file(
            encoder.with_name("encoder.safetensors")
        ).items()
        if name.startswith(TOWER)
    }
    safetensors.torch.save_file(tensors, folder / "text_tower.safetensors")
    vocabulary, width = tensors["token_embedding.weight"].shape
    layers = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    return {
        "vocabulary": vocabulary,
        "context": len(tensors["positional_embedding"]),
        "width": width,
        "layers": len(layers),
        "heads": TEXT_HEADS,
    }


def _end_of_text(ancestry: Ancestry) -> int:
    """Id of the end of text, as the tokenizer states it."""
    (tokenizer,) = ancestry.manifests("tokenizer").values()
    return int(tokenizer.facts["end_of_text_id"])
