"""A checkpoint of the official code becomes a model of ours: the same logits, and what was dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from builders.fairseq_models import (
    CONTEXT,
    FUSED,
    HEADS,
    LAYERS,
    WIDTH,
    checkpoint,
    official_logits,
    tensors,
    write_checkpoint,
)
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from valm.cli.main import app
from valm.core.manifest import verify_files
from valm.errors import InputError
from valm.export.convert import convert
from valm.export.hugging_face import export_model
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.models.pictures import Pictures
from valm.train.saved_model import load_model

CLOSE = {"atol": 2e-5, "rtol": 1e-5}


def converted(folder: Path, joint: bool, half: bool = False) -> tuple[Path, str]:
    """By the real command line; its manifest, and what it said."""
    state = tensors(joint)
    stored = {name: value.half() for name, value in state.items()} if half else state
    file = write_checkpoint(folder / "checkpoint_best.pt", checkpoint(stored))
    command = ["convert", "--checkpoint", str(file), "--output", str(folder / "out")]
    run = CliRunner().invoke(app, command, catch_exceptions=False)
    assert run.exit_code == 0
    return folder / "out" / "model.manifest.json", run.stderr


@pytest.mark.parametrize("joint", [True, False], ids=["VaLM", "GPT-2*"])
def test_the_converted_model_gives_the_official_logits(tmp_path: Path, joint: bool) -> None:
    """Against the equations written out in float64, on the ids that the tokenizer gives."""
    manifest, said = converted(tmp_path, joint)
    model, info = load_model(manifest)
    tokenizer = load_tokenizer(manifest.parent / "tokenizer" / "tokenizer.manifest.json")
    ids = torch.tensor([tokenizer.end_of_text, *tokenizer.encode("The color of a banana is 42?")])
    assert len(ids) > 8 and ids[0] == 2
    assert ids[1] == 518 + 4  # CLIP's "the"
    state = tensors(joint)
    model.double()
    if joint:
        pictures = torch.randn(len(ids), 3, WIDTH, generator=torch.Generator().manual_seed(1)) * 4
        seen = Pictures(
            torch.ones(1, len(ids), 3, dtype=torch.bool), vectors=pictures[None].double()
        )
        expected = official_logits(state, ids, pictures)
        torch.testing.assert_close(model(ids[None], seen)[0], expected, **CLOSE)
        assert model.fused_layers == (FUSED,)
        assert info["model"]["fusion"]["params"]["scale"] == "sqrt_d_model"
        # Without pictures the official code changes its softmax's temperature, ours does not.
        assert not torch.allclose(model(ids[None])[0], official_logits(state, ids), **CLOSE)
    else:
        torch.testing.assert_close(model(ids[None])[0], official_logits(state, ids), **CLOSE)
        assert model.fused_layers == ()
    trunk = model.trunk.config
    assert (trunk.layers, trunk.width, trunk.heads) == (LAYERS, WIDTH, HEADS)
    assert (trunk.context_tokens, trunk.dropout) == (CONTEXT, 0.1)
    verify_files(manifest)
    dropped = {line.split(":")[0] for line in info["dropped"]}
    dead = {f"decoder.layers.{FUSED}.self_attn.img_{part}_proj.weight" for part in "kv"}
    assert dropped == {
        "decoder.version", "decoder.embed_positions._float_tensor", "decoder.output_projection.weight",
        "criterion", "optimizer_history", "task_state", "extra_state", "last_optimizer_state",
    } | (dead if joint else set())  # fmt: skip
    assert all(name in said for name in dropped)
    assert model.parameter_count == sum(
        value.numel() for name, value in state.items() if name not in dropped
    )


def test_half_precision_is_read_and_the_model_can_be_exported(tmp_path: Path) -> None:
    manifest, _ = converted(tmp_path, joint=True, half=True)
    model, _ = load_model(manifest)
    rounded = tensors()["decoder.embed_tokens.weight"].half().float()
    assert torch.equal(model.output_embedding, rounded)
    export_model(model=manifest, results=manifest.parent, output=tmp_path / "hf")
    card = (tmp_path / "hf/README.md").read_text()
    assert "optimizer_history: state of the training" in card and "ftfy" in card
    ours = load_tokenizer(manifest.parent / "tokenizer" / "tokenizer.manifest.json")
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path / "hf")
    text = "The  colour of </s> Snow is 42!"
    assert theirs(text).input_ids == ours.encode(text)
    assert theirs.eos_token_id == theirs.pad_token_id == ours.end_of_text == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_fn": "relu"}, "activation_fn = relu computes otherwise"),
        ({"no_scale_embedding": True}, "no_scale_embedding = True"),
        ({"decoder_learned_pos": True}, "decoder_learned_pos = True"),
        ({"decoder_attention_heads": None}, "decoder_attention_heads.*--heads"),
        ({"decoder_attention_heads": 3}, "width 8 is not a multiple of 3"),
    ],
)
def test_another_architecture_is_refused_by_its_settings(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    file = write_checkpoint(tmp_path / "a.pt", checkpoint(tensors(), **change))
    with pytest.raises(InputError, match=message):
        convert(checkpoint=file, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_architecture_is_refused_by_its_tensors(tmp_path: Path) -> None:
    def refused(message: str, **changed: torch.Tensor | None) -> None:
        state = {name: value for name, value in (tensors() | changed).items() if value is not None}
        file = write_checkpoint(tmp_path / "a.pt", checkpoint(state))
        with pytest.raises(InputError, match=message) as error:
            convert(checkpoint=file, output=tmp_path / "out")
        assert str(file) in str(error.value)

    layer = "decoder.layers.0."
    refused("belong to another.*ffn_layernorm", **{f"{layer}ffn_layernorm.weight": torch.ones(8)})
    refused("has no 'decoder.layers.0.fc1.bias'", **{f"{layer}fc1.bias": None})
    refused("belong to another.*encoder.x", **{"encoder.x": torch.ones(1)})
    refused("tied|are not those", **{"decoder.output_projection.weight": torch.ones(49_412, 8)})
    refused("49,408 entries", **{"decoder.embed_tokens.weight": torch.ones(49_408, 8)})
    narrow = {f"{layer}fc1.weight": torch.ones(16, 8), f"{layer}fc1.bias": torch.ones(16),
              f"{layer}fc2.weight": torch.ones(8, 16)}  # fmt: skip
    refused(r"widen\.\w+ has the shape .*four times|narrow.*four times", **narrow)


def test_what_is_not_stated_can_be_given(tmp_path: Path) -> None:
    data = checkpoint(tensors(joint=False)) | {"cfg": None}
    file = write_checkpoint(tmp_path / "a.pt", data)
    with pytest.raises(InputError, match="--heads"):
        convert(checkpoint=file, output=tmp_path / "out")
    convert(checkpoint=file, output=tmp_path / "out", heads=4, context=12)
    model, _ = load_model(tmp_path / "out" / "model.manifest.json")
    assert (model.trunk.config.heads, model.trunk.config.context_tokens) == (4, 12)
