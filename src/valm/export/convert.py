"""``valm convert``: a model of the official code, from fairseq's checkpoint to our files.

Names change, queries, keys and values become one map, and what the official code never reads is left
out (VALM.md 4.1, 4.3). The ids stay fairseq's: four entries of its own before CLIP's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from valm.config.verbs import code_for
from valm.core.digest import digest_data, sha256_file
from valm.core.fingerprint import code_digest
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import write_manifest
from valm.errors import InputError
from valm.export.fairseq_checkpoint import Checkpoint, read_checkpoint
from valm.ingest.text.fairseq import SPECIAL_ENTRIES
from valm.ingest.vocabulary.tokenizer import train_tokenizer
from valm.models.fusion import make_fusion
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.train.saved_model import KIND, save_model

CLIP_ENTRIES = 49_408
VOCABULARY = CLIP_ENTRIES + len(SPECIAL_ENTRIES)
DECODER, LAYERS = "decoder.", "decoder.layers."
ATTENTION = "self_attn."
PICTURE_NORM = f"{ATTENTION}img_layer_norm."
HEADS = "decoder_attention_heads"
CONTEXT = ("max_target_positions", "tokens_per_sample")
# What the settings must say, where they say anything, for the equations to be ours.
EXPECTED = {
    "activation_fn": "gelu",
    "decoder_learned_pos": False,
    "no_scale_embedding": False,
    "no_token_positional_embeddings": False,
    "adaptive_input": False,
    "character_embeddings": False,
}
# fairseq's names within a layer, and ours; weights and biases alike.
RENAMED = {
    "self_attn.out_proj": "attention.output",
    "self_attn_layer_norm": "attention_norm",
    "final_layer_norm": "feed_forward_norm",
    "fc1": "widen",
    "fc2": "narrow",
}
# Never read by the official code: each picture goes through the text's projections (VALM.md 4.3).
DEAD = {
    f"{ATTENTION}{name}.weight": "dead projection of pictures: the text's own are used"
    for name in ("img_k_proj", "img_v_proj")
}
COMPUTED = "made anew from its size"


@dataclass
class Conversion:
    """A model on its way: what is left of the old tensors, and what has been dropped and why."""

    left: dict[str, Tensor]
    dropped: dict[str, str] = field(default_factory=dict)

    def take(self, name: str) -> Tensor:
        """A tensor, as float32 of its own; it is no longer left.

        Raises:
            InputError: There is none of that name.
        """
        if name not in self.left:
            raise InputError(
                f"the checkpoint has no {name!r}", cure="name a decoder-only model of fairseq"
            )
        return self.left.pop(name).to(torch.float32, copy=True)

    def drop(self, name: str, why: str) -> None:
        """Leave a tensor out, if it is there, and say so."""
        if self.left.pop(name, None) is not None:
            self.dropped[name] = why


def convert(
    *, checkpoint: Path, output: Path, heads: int | None = None, context: int | None = None
) -> None:
    """Write ``model.safetensors``, ``model.json``, the tokenizer, and their manifests.

    Args:
        checkpoint: ``checkpoint_*.pt`` of fairseq.
        output: Folder to write.
        heads: Attention heads, if the checkpoint does not state them.
        context: Longest input in tokens, if the checkpoint does not state it.

    Raises:
        InputError: The file is no such checkpoint, holds code, or is of another architecture.
    """
    read = read_checkpoint(checkpoint)
    try:
        model, conversion = converted(read, heads, context)
    except InputError as error:
        raise InputError(error.what, where=checkpoint, cure=error.cure) from error
    for name in read.others:
        conversion.dropped[name] = "state of the training, not of the model"
    for name, why in conversion.dropped.items():
        logger.info("dropped %s: %s", name, why)
    tokenizer = output / "tokenizer" / "tokenizer.manifest.json"
    section = {"ingest.tokenizer": {"kind": "clip_fairseq"}}
    train_tokenizer(
        Job("train-tokenizer", section, code_for("train-tokenizer")), text=[], output=tokenizer
    )
    reads = bool(model.fused_layers)
    facts = {
        "variant": checkpoint.stem,
        "pictures": "retrieved" if reads else "none",
        "converted_from": sha256_file(checkpoint),
        "dropped": [f"{name}: {why}" for name, why in conversion.dropped.items()],
    }
    manifest = output / "model.manifest.json"
    write_manifest(
        manifest,
        kind=KIND,
        rows=model.parameter_count,
        files=save_model(output, model, facts),
        producer="convert",
        config_digest=digest_data({"heads": heads, "context": context}),
        code_digest=code_digest(__name__),
        parents=[tokenizer],
        facts=facts,
    )
    kind = "VaLM, which reads pictures" if reads else "GPT-2*, which reads text alone"
    logger.info(
        "%s: %s, %s parameters; %s tensors and parts dropped",
        manifest, kind, f"{model.parameter_count:,}", len(conversion.dropped),
    )  # fmt: skip


def converted(
    checkpoint: Checkpoint, heads: int | None, context: int | None
) -> tuple[LanguageModel, Conversion]:
    """The model, and what was dropped.

    Raises:
        InputError: The architecture is another than the official one.
    """
    settings = checkpoint.settings
    for name, value in EXPECTED.items():
        if settings.get(name, value) != value:
            raise InputError(
                f"a model with {name} = {settings[name]} computes otherwise than ours",
                cure=f"only models with {name} = {value} can be converted",
            )
    conversion = Conversion(dict(checkpoint.tensors))
    embedding = conversion.take(f"{DECODER}embed_tokens.weight")
    if embedding.ndim != 2 or len(embedding) != VOCABULARY:
        raise InputError(
            f"the vocabulary has {len(embedding):,} entries, fairseq's with CLIP's {VOCABULARY:,}",
            cure="convert a model that was trained with clip.vocab",
        )
    _drop_what_is_computed(conversion, embedding)
    layers = len({name.split(".")[2] for name in conversion.left if name.startswith(LAYERS)})
    fused = [i for i in range(layers) if f"{LAYERS}{i}.{PICTURE_NORM}weight" in conversion.left]
    ours = {"trunk.embedding.weight": embedding}
    for kind in ("weight", "bias"):
        ours[f"trunk.final_norm.{kind}"] = conversion.take(f"{DECODER}layer_norm.{kind}")
    for layer in range(layers):
        ours |= _layer(conversion, layer, reads_pictures=layer in fused)
    if conversion.left:
        names = ", ".join(sorted(conversion.left)[:5])
        raise InputError(
            f"{len(conversion.left)} tensors belong to another architecture: {names}",
            cure="convert a transformer_lm_gpt, with or without the official joint attention",
        )
    trunk = _trunk(settings, layers, embedding.shape[1], heads, context)
    return _model(trunk, fused, ours), conversion


def _drop_what_is_computed(conversion: Conversion, embedding: Tensor) -> None:
    """Positions, versions, and the output that is tied to the embeddings."""
    conversion.drop(f"{DECODER}version", "fairseq's own")
    conversion.drop(f"{DECODER}embed_positions._float_tensor", f"sinusoids, {COMPUTED}")
    conversion.drop(f"{DECODER}embed_positions.weights", f"sinusoids, {COMPUTED}")
    name = f"{DECODER}output_projection.weight"
    if name in conversion.left:
        if not torch.equal(conversion.left[name].float(), embedding):
            raise InputError(
                "its output embeddings are not those of its input",
                cure="convert a model with tied embeddings",
            )
        conversion.drop(name, "tied to the input embeddings")


def _layer(conversion: Conversion, layer: int, *, reads_pictures: bool) -> dict[str, Tensor]:
    """The tensors of a layer under our names."""
    old, new = f"{LAYERS}{layer}.", f"trunk.blocks.{layer}."
    take = conversion.take
    ours: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        for theirs, name in RENAMED.items():
            ours[f"{new}{name}.{kind}"] = take(f"{old}{theirs}.{kind}")
        parts = [take(f"{old}{ATTENTION}{part}_proj.{kind}") for part in ("q", "k", "v")]
        ours[f"{new}attention.query_key_value.{kind}"] = torch.cat(parts)
    if reads_pictures:
        for kind in ("weight", "bias"):
            norm = take(f"{old}{PICTURE_NORM}{kind}")
            ours[f"{new}attention.picture_norm.{kind}"] = norm
        biases = [take(f"{old}{ATTENTION}img_{part}_proj.bias") for part in ("k", "v")]
        ours[f"{new}attention.picture_key_value.bias"] = torch.cat(biases)
        for name, why in DEAD.items():
            conversion.drop(f"{old}{name}", why)
    return ours


def _trunk(
    settings: Mapping[str, Any], layers: int, width: int, heads: int | None, context: int | None
) -> TrunkConfig:
    stated = next((settings[name] for name in CONTEXT if name in settings), None)
    heads, context = heads or settings.get(HEADS), context or stated
    for value, name, option in ((heads, HEADS, "heads"), (context, CONTEXT[0], "context-tokens")):
        if type(value) is not int or value < 1:
            raise InputError(f"the checkpoint does not state {name}", cure=f"give --{option}")
    assert heads is not None and context is not None
    if width % heads:
        raise InputError(f"width {width} is not a multiple of {heads} heads", cure="see --heads")
    if not layers:
        raise InputError("the checkpoint has no layers", cure="name a checkpoint of a decoder")
    dropout = settings.get("dropout", 0.0)
    return TrunkConfig(layers, width, heads, context, "sinusoidal", float(dropout))


def _model(trunk: TrunkConfig, fused: list[int], tensors: Mapping[str, Tensor]) -> LanguageModel:
    """The model with the tensors.

    Raises:
        InputError: Their shapes do not fit, or several layers read pictures.
    """
    if len(fused) > 1:
        raise InputError(f"layers {fused} all read pictures", cure="one layer can")
    # The fusion layer divides by sqrt(d), all others by sqrt(d_head).
    params = {"scale": "sqrt_d_model", "layer_from_end": trunk.layers - fused[0]} if fused else {}
    fusion = make_fusion("joint" if fused else "none", params)
    model = LanguageModel(trunk, fusion, VOCABULARY, trunk.width if fused else 0)
    wanted = model.state_dict()
    for name, tensor in tensors.items():
        if name not in wanted or wanted[name].shape != tensor.shape:
            expected = tuple(wanted[name].shape) if name in wanted else "none"
            raise InputError(
                f"{name} has the shape {tuple(tensor.shape)}, ours {expected}",
                cure="convert a model whose feed-forward layers are four times as wide as the rest",
            )
    model.load_state_dict(dict(tensors))
    return model.eval()
