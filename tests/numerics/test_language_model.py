"""The trunk against closed forms and Hugging Face's GPT-2; parameter counts; paired starts."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from valm.errors import InputError
from valm.models import losses
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.losses import cross_entropies, mean_cross_entropy
from valm.models.pictures import Pictures
from valm.models.positions import sinusoidal_positions
from valm.models.trunk import TrunkConfig

SMALL = TrunkConfig(layers=3, width=16, heads=2, context_tokens=8)


def make(fusion: str, trunk: TrunkConfig = SMALL, vocabulary: int = 50) -> LanguageModel:
    return LanguageModel(trunk, make_fusion(fusion, {}), vocabulary, trunk.width)


def test_sinusoids_have_fairseqs_layout() -> None:
    table = sinusoidal_positions(5, 8)
    for t in range(5):
        for f in range(4):
            angle = (t + 2) * 10_000 ** (-f / 3)
            assert table[t, f] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[t, 4 + f] == pytest.approx(math.cos(angle), abs=1e-6)


def test_equals_hugging_face_gpt2() -> None:
    """Same weights, same logits: learned positions, pre-norm, erf GELU, tied output."""
    from transformers import GPT2Config, GPT2LMHeadModel

    trunk = TrunkConfig(layers=2, width=16, heads=4, context_tokens=8, positions="learned")
    ours = make("none", trunk)
    initialise(ours, 3)
    config = GPT2Config(
        vocab_size=50, n_positions=8, n_embd=16, n_layer=2, n_head=4, activation_function="gelu",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager",
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).eval()
    state = {name: value.clone() for name, value in ours.trunk.state_dict().items()}
    names = {
        "attention_norm": "ln_1", "attention.query_key_value": "attn.c_attn",
        "attention.output": "attn.c_proj", "feed_forward_norm": "ln_2", "widen": "mlp.c_fc",
        "narrow": "mlp.c_proj",
    }  # fmt: skip
    mapped = {
        "transformer.wte.weight": state["embedding.weight"] * 4.0,  # ours is scaled in the trunk
        "lm_head.weight": state["embedding.weight"] * 4.0,
        "transformer.wpe.weight": state["positions.weight"],
        "transformer.ln_f.weight": state["final_norm.weight"],
        "transformer.ln_f.bias": state["final_norm.bias"],
    }
    for layer in range(2):
        for ours_name, theirs_name in names.items():
            for kind in ("weight", "bias"):
                value = state[f"blocks.{layer}.{ours_name}.{kind}"]
                turned = value.t() if value.ndim == 2 else value  # GPT-2 stores transposed maps
                mapped[f"transformer.h.{layer}.{theirs_name}.{kind}"] = turned
    theirs.load_state_dict(mapped)
    ids = torch.randint(0, 50, (3, 8))
    torch.testing.assert_close(ours(ids) * 4.0, theirs(ids).logits, atol=1e-5, rtol=1e-5)


def test_shared_parameters_start_bit_equal_and_as_the_paper_says() -> None:
    plain, joint, other = make("none"), make("joint"), make("joint")
    initialise(plain, 5)
    initialise(joint, 5)
    initialise(other, 6)
    state, shared = joint.state_dict(), plain.state_dict()
    assert set(shared) < set(state)
    assert all(torch.equal(value, state[name]) for name, value in shared.items())
    name = "trunk.embedding.weight"
    assert not torch.equal(state[name], other.state_dict()[name])
    wide = make("none", TrunkConfig(layers=2, width=128, heads=2, context_tokens=8), 2000)
    initialise(wide, 1)
    assert float(wide.trunk.embedding.weight.detach().std()) == pytest.approx(128**-0.5, rel=0.01)
    attention = wide.trunk.block(0).attention
    # Xavier-uniform with gain 1/sqrt(2) of each 128 x 128 map.
    bound = math.sqrt(6 / 256) / math.sqrt(2)
    assert float(attention.query_key_value.weight.detach().abs().max()) == pytest.approx(
        bound, rel=0.001
    )
    assert attention.output.bias.abs().max() == 0


@pytest.mark.parametrize(("fusion", "places"), [("none", (5, 5, 5)), ("joint", (5, 5 + 4, 5))])
def test_dropout_is_where_the_official_code_has_it(
    monkeypatch: pytest.MonkeyPatch, fusion: str, places: tuple[int, ...]
) -> None:
    """VALM.md 4.1: embeddings, attention weights of all layers, both residuals; nothing inside the feed-forward."""
    seen: list[tuple[int, ...]] = []

    def note(states: torch.Tensor, p: float, training: bool, inplace: bool = False) -> torch.Tensor:
        assert (p, training) == (0.1, True)
        seen.append(tuple(states.shape))
        return states

    def attended(*inputs: torch.Tensor, **others: object) -> torch.Tensor:
        query, key, *_, probability = inputs
        assert probability == 0.1
        seen.append((*query.shape[:3], key.shape[2]))
        return attend(*inputs, **others)

    attend = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "dropout", note)
    monkeypatch.setattr(functional, "scaled_dot_product_attention", attended)
    trunk = TrunkConfig(layers=3, width=12, heads=3, context_tokens=5, dropout=0.1)
    model = LanguageModel(trunk, make_fusion(fusion, {}), 40, 12).train()
    pictures = Pictures(torch.ones(2, 5, 4, dtype=torch.bool), vectors=torch.randn(2, 5, 4, 12))
    model(torch.zeros(2, 5, dtype=torch.long), pictures)
    states = (2, 5, 12)
    assert seen[0] == states
    assert seen[1:] == [shape for each in places for shape in ((2, 3, 5, each), states, states)]


@pytest.mark.parametrize("rows_a_chunk", [3, 100])
def test_chunked_loss_and_its_gradients_equal_cross_entropy(
    rows_a_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary, rows, width = 50, 7, 4
    monkeypatch.setattr(losses, "CPU_LOGITS", rows_a_chunk * vocabulary)
    monkeypatch.setattr(losses, "CACHED_LOGITS", 2 * vocabulary)
    hidden = torch.randn(rows, width, dtype=torch.float64, requires_grad=True)
    table = torch.randn(vocabulary, width, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, vocabulary, (rows,))
    expected = functional.cross_entropy(functional.linear(hidden, table), targets)
    wanted = torch.autograd.grad(2 * expected, (hidden, table))
    loss = mean_cross_entropy(hidden, table, targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(2 * loss, (hidden, table)), wanted)
    torch.testing.assert_close(cross_entropies(hidden, table, targets).mean(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_is_exact_where_a_share_is_too_small_for_its_type(dtype: torch.dtype) -> None:
    """exp(-300) is 0 in float32; bfloat16 products are added up in float32."""
    hidden = torch.tensor([[300.0], [0.01]], requires_grad=True)
    table = torch.tensor([[-1.0], [0.0], [0.5]], requires_grad=True)
    targets = torch.tensor([0, 1])
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = mean_cross_entropy(hidden, table, targets)
        logits = functional.linear(hidden, table).float()
    expected = functional.cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
    slopes = [torch.autograd.grad(value, (hidden, table)) for value in (loss, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-6 if dtype == torch.float32 else 8e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["none", "joint"])
def test_compiled_it_learns_the_same(fusion: str) -> None:
    """``train.compile``: the loss and all slopes, chunked loss and picture products included."""
    model, ids = make(fusion), torch.randint(0, 50, (2, 8))
    initialise(model, 1)
    pictures = Pictures(torch.rand(2, 8, 3) < 0.7, vectors=torch.randn(2, 8, 3, 16))
    slopes = []
    for loss in (model.loss, torch.compile(model.loss)):
        value = loss(ids, ids, pictures)
        slopes.append([value, *torch.autograd.grad(value, list(model.parameters()))])
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)


def test_too_long_an_input_says_so() -> None:
    with pytest.raises(InputError, match="9 tokens is longer than the model's context of 8"):
        make("none")(torch.zeros(1, 9, dtype=torch.long))
