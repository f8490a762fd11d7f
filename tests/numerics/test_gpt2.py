"""The trunk ``gpt2`` beside Hugging Face's GPT2LMHeadModel: same weights, same logits, same loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from valm.config.models import InitFrom
from valm.core.hub import digest_of_weights
from valm.errors import ConfigError, InputError, IntegrityError, ValmError
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig
from valm.train.initial_weights import start_from

LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 3, 24, 4, 10, 50
SIZES: dict[str, int] = {
    "n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "n_positions": CONTEXT,
    "vocab_size": VOCABULARY,
}  # fmt: skip


def hugging_face(**config: Any) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(4)
    model = GPT2LMHeadModel(GPT2Config(**SIZES | config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def ours(fusion: str = "none", **sizes: Any) -> LanguageModel:
    trunk = {"layers": LAYERS, "width": WIDTH, "heads": HEADS, "context_tokens": CONTEXT} | sizes
    objective = trunk.pop("objective", "causal_lm")
    vocabulary = trunk.pop("vocabulary", VOCABULARY)
    config = TrunkConfig(**trunk, positions="learned", architecture="gpt2")
    model = LanguageModel(config, make_fusion(fusion, {}), vocabulary, 16, objective)
    initialise(model, 1)
    return model.eval()


def source(folder: Path) -> InitFrom:
    return InitFrom(checkpoint=str(folder), sha256=digest_of_weights(folder))


def some_ids(tokens: int = CONTEXT) -> Tensor:
    return torch.randint(0, VOCABULARY, (3, tokens), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("fusion", FUSIONS.names())
@pytest.mark.parametrize("saved", ["whole", "in parts", "without its output layer"])
def test_it_loads_and_equals_hugging_face(tmp_path: Path, saved: str, fusion: str) -> None:
    """With any fusion: a token without pictures sees what GPT-2 sees."""
    theirs, model = hugging_face(), ours(fusion)
    body = theirs.transformer if saved == "without its output layer" else theirs
    body.save_pretrained(tmp_path, max_shard_size="20KB" if saved == "in parts" else "1GB")
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) is (saved == "in parts")
    start_from(model, source(tmp_path))
    ids = some_ids()
    with torch.no_grad():
        wanted = theirs(ids, labels=ids)
    torch.testing.assert_close(model(ids), wanted.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.loss(ids[:, :-1], ids[:, 1:]), wanted.loss)
    if model.fusion.reads_pictures:
        pictures = Pictures(torch.ones(3, CONTEXT, 2) > 0, vectors=torch.randn(3, CONTEXT, 2, 16))
        assert not torch.allclose(model(ids, pictures), wanted.logits, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_hugging_face_at_any_size(tmp_path: Path, seed: int) -> None:
    """Drawn sizes; saved as OpenAI's own files are, whose masks are no weights."""
    generator = np.random.default_rng(seed)
    heads, layers, context = (int(generator.integers(1, top)) for top in (5, 5, 13))
    width, vocabulary = heads * int(generator.integers(4, 10)), int(generator.integers(20, 90))
    theirs = hugging_face(
        n_layer=layers, n_embd=width, n_head=heads, n_positions=context, vocab_size=vocabulary
    )
    theirs.transformer.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 3, 3) for layer in range(layers)}
    safetensors.torch.save_file(safetensors.torch.load_file(weights) | masks, weights)
    model = ours(
        layers=layers, width=width, heads=heads, context_tokens=context, vocabulary=vocabulary
    )
    start_from(model, source(tmp_path))
    ids = torch.from_numpy(generator.integers(0, vocabulary, (2, context)))
    with torch.no_grad():
        wanted = theirs(ids).logits
    torch.testing.assert_close(model(ids), wanted, atol=1e-5, rtol=1e-5)


def test_its_slopes_are_hugging_faces(tmp_path: Path) -> None:
    theirs, model = hugging_face(), ours()
    theirs.save_pretrained(tmp_path)
    start_from(model, source(tmp_path))
    ids = some_ids()
    theirs(ids, labels=ids).loss.backward()
    model.loss(ids[:, :-1], ids[:, 1:]).backward()
    block, layer = model.trunk.block(1), theirs.transformer.h[1]
    slopes = (
        (model.output_embedding.grad, theirs.transformer.wte.weight.grad),
        (block.narrow.weight.grad, layer.mlp.c_proj.weight.grad.T),
        (block.attention.query_key_value.weight.grad, layer.attn.c_attn.weight.grad.T),
    )
    for mine, wanted in slopes:
        torch.testing.assert_close(mine, wanted, atol=1e-6, rtol=1e-4)


def test_a_shorter_context_and_a_mask_take_what_is_there(tmp_path: Path) -> None:
    theirs, model = hugging_face(), ours(context_tokens=6, objective="masked_lm")
    theirs.save_pretrained(tmp_path)
    drawn = model.output_embedding[-1].detach().clone()
    start_from(model, source(tmp_path))
    assert torch.equal(model.output_embedding[:-1], theirs.transformer.wte.weight)
    assert torch.equal(model.output_embedding[-1], drawn)
    assert model.trunk.positions is not None
    assert torch.equal(model.trunk.positions.weight, theirs.transformer.wpe.weight[:6])


def test_its_first_values_are_openais() -> None:
    model = ours(width=256, layers=8, vocabulary=2000)
    block, trunk = model.trunk.block(0), model.trunk
    assert trunk.positions is not None
    for tensor, deviation in (
        (trunk.embedding.weight, 0.02),
        (trunk.positions.weight, 0.02),
        (block.widen.weight, 0.02),
        (block.attention.query_key_value.weight, 0.02),
        (block.attention.output.weight, 0.02 / 4),
        (block.narrow.weight, 0.02 / 4),
    ):
        assert float(tensor.detach().std()) == pytest.approx(deviation, rel=0.05)
    biases = [p for n, p in model.named_parameters() if n.endswith("bias")]
    assert all(not bias.any() for bias in biases)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"vocabulary": 49}, "vocabulary: 50, ours 49"),
        ({"width": 28, "layers": 2}, "layers: 3, ours 2; width: 24, ours 28"),
        ({"heads": 3}, "heads: 4, ours 3"),
        ({"context_tokens": 11}, "context_tokens: 10, ours 11"),
    ],
)
def test_other_sizes_are_named_on_both_sides(
    tmp_path: Path, sizes: dict[str, int], message: str
) -> None:
    hugging_face().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=message):
        start_from(ours(**sizes), source(tmp_path))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"activation_function": "relu"}, "activation_function is 'relu'.*has 'gelu_new'"),
        ({"n_inner": 30}, "n_inner is 30, four times its width is 96"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
    ],
)
def test_what_is_no_gpt2_is_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    hugging_face(**config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=message):
        start_from(ours(), source(tmp_path))


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    hugging_face().save_pretrained(folder)
    weights, config = folder / "model.safetensors", folder / "config.json"

    def refused(kind: type[ValmError], message: str, sha256: str | None = None) -> None:
        with pytest.raises(kind, match=message):
            wanted = digest_of_weights(folder) if sha256 is None else sha256
            start_from(ours(), InitFrom(checkpoint=str(folder), sha256=wanted))

    refused(IntegrityError, "sha256 is .* expected 00", "0" * 64)
    tensors = safetensors.torch.load_file(weights)
    cut = tensors | {"transformer.h.1.mlp.c_fc.bias": torch.zeros(5)}
    safetensors.torch.save_file(cut, weights)
    refused(InputError, r"blocks.1.widen.bias has the shape \(5,\), the model's is \(96,\)")
    del cut["transformer.ln_f.bias"]
    safetensors.torch.save_file(cut, weights)
    refused(InputError, "no tensor 'ln_f.bias'")
    weights.write_bytes(b"\xff" * 64)
    refused(InputError, "no safetensors file")
    config.write_text(json.dumps({"model_type": "llama"}))
    refused(InputError, "model_type is 'llama', the architecture gpt2 has 'gpt2'")
    config.write_text("{")
    refused(InputError, "config.json|cannot read it")
    weights.rename(folder / "pytorch_model.bin")
    refused(InputError, "no weights in safetensors", "0" * 64)


def test_only_a_published_architecture_starts_from_a_checkpoint(tmp_path: Path) -> None:
    hugging_face().save_pretrained(tmp_path)
    model = LanguageModel(
        TrunkConfig(LAYERS, WIDTH, HEADS, CONTEXT), make_fusion("none", {}), VOCABULARY
    )
    with pytest.raises(ConfigError, match="'fairseq' starts from no checkpoint"):
        start_from(model, source(tmp_path))
