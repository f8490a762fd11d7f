"""Joint attention against the definition (VALM.md 4.3), one position at a time in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from valm.errors import ConfigError
from valm.models.fusion import make_fusion
from valm.models.fusions.joint import JointAttention
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.picture_products import match, mix
from valm.models.pictures import Pictures, standardise
from valm.models.trunk import SelfAttention, TrunkConfig

BATCH, TOKENS, PLACES, ROWS, VOCABULARY = 2, 7, 3, 11, 40
TRUNK = TrunkConfig(layers=3, width=12, heads=3, context_tokens=TOKENS)


@pytest.fixture(autouse=True)
def _float64() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def some_pictures(value_width: int) -> Pictures:
    mask = torch.rand(BATCH, TOKENS, PLACES) < 0.7
    mask[0, 2] = False  # a token without any picture
    ids = torch.randint(0, ROWS, (BATCH, TOKENS, PLACES)).where(mask, -1)
    return Pictures(mask, table=3 * torch.randn(ROWS, value_width) + 1, ids=ids)


def joint_attention(value_width: int, scale: float = 0.37) -> JointAttention:
    attention = JointAttention(TRUNK, value_width, scale)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    return attention


def by_definition(attention: JointAttention, x: Tensor, pictures: Pictures) -> Tensor:
    """The equations of VALM.md 4.3, for each batch item, position, head and picture in turn."""
    width, heads = TRUNK.width, TRUNK.heads
    head = width // heads
    weight, bias = attention.query_key_value.weight, attention.query_key_value.bias
    w_q, w_k, w_v = weight.split(width)
    b_q, b_k, b_v = bias.split(width)
    own = attention.picture_key_value
    p_k, p_v = own.weight.split(width) if isinstance(own, torch.nn.Linear) else (w_k, w_v)
    pb_k, pb_v = own.bias.split(width)
    out = torch.zeros_like(x)
    for b in range(BATCH):
        for i in range(TOKENS):
            q = w_q @ x[b, i] + b_q
            keys = [w_k @ x[b, j] + b_k for j in range(i + 1)]
            values = [w_v @ x[b, j] + b_v for j in range(i + 1)]
            for k in range(PLACES):
                if pictures.mask[b, i, k]:
                    assert pictures.table is not None and pictures.ids is not None
                    u = attention.picture_norm(pictures.table[pictures.ids[b, i, k]])
                    keys.append(p_k @ u + pb_k)
                    values.append(p_v @ u + pb_v)
            mixed = []
            for h in range(heads):
                part = slice(h * head, (h + 1) * head)
                logits = torch.stack([q[part] @ key[part] * attention.scale for key in keys])
                shares = logits.softmax(0)
                mixed.append(sum(s * v[part] for s, v in zip(shares, values, strict=True)))
            out[b, i] = attention.output.weight @ torch.cat(mixed) + attention.output.bias
    return out


@pytest.mark.parametrize("value_width", [12, 20])
def test_equals_the_definition(value_width: int) -> None:
    """Shared projections (equal widths) and own ones; missing pictures; one softmax over both."""
    attention, pictures = joint_attention(value_width), some_pictures(value_width)
    x = torch.randn(BATCH, TOKENS, TRUNK.width)
    torch.testing.assert_close(attention(x, pictures), by_definition(attention, x, pictures))
    weights = attention.weights(x, pictures)
    total = weights.text.sum(-1) + weights.pictures.sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (weights.pictures[~pictures.mask.unsqueeze(1).expand_as(weights.pictures)] == 0).all()


def test_a_table_its_vectors_and_standardised_ones_are_the_same_pictures() -> None:
    attention, pictures = joint_attention(12), some_pictures(12)
    x = torch.randn(BATCH, TOKENS, TRUNK.width)
    assert pictures.table is not None
    direct = Pictures(pictures.mask, vectors=pictures.values())
    table = standardise(pictures.table)
    prepared = Pictures(pictures.mask, table=table, ids=pictures.ids, standardised=True)
    torch.testing.assert_close(attention(x, direct), attention(x, pictures))
    torch.testing.assert_close(attention(x, prepared), attention(x, pictures))


@pytest.mark.parametrize("scale", ["sqrt_d_head", "sqrt_d_model"])
def test_without_pictures_it_is_plain_attention_at_the_same_scale(scale: str) -> None:
    """No temperature changes when pictures are off: defect (iv) of VALM.md 4.3."""
    block = make_fusion("joint", {"scale": scale}).block(1, TRUNK, TRUNK.width)
    assert block is not None
    width = {"sqrt_d_head": TRUNK.head_width, "sqrt_d_model": TRUNK.width}[scale]
    plain = SelfAttention(TRUNK, scale=1 / math.sqrt(width))
    plain.load_state_dict(block.attention.state_dict(), strict=False)
    x = torch.randn(BATCH, TOKENS, TRUNK.width)
    pictures = some_pictures(TRUNK.width)
    none_there = Pictures(torch.zeros_like(pictures.mask), pictures.table, pictures.ids)
    no_places = Pictures(pictures.mask[..., :0], vectors=torch.zeros(BATCH, TOKENS, 0, 12))
    for given in (None, none_there, no_places):
        torch.testing.assert_close(block.attention(x, given), plain(x))


def language_model(fusion: str, value_width: int = 12, **params: Any) -> LanguageModel:
    model = LanguageModel(TRUNK, make_fusion(fusion, params), VOCABULARY, value_width)
    initialise(model, 1)
    return model


def test_only_the_second_to_last_layer_reads_pictures() -> None:
    model, pictures = language_model("joint"), some_pictures(12)
    assert model.fused_layers == (1,)
    ids = torch.randint(0, VOCABULARY, (BATCH, TOKENS))
    assert model.attention(1, ids, pictures).pictures.shape == (BATCH, 3, TOKENS, PLACES)
    assert model.attention(0, ids, pictures).pictures.shape == (BATCH, 3, TOKENS, 0)
    assert not torch.equal(model(ids, pictures), model(ids))
    plain = language_model("none")
    assert torch.equal(plain(ids, pictures), plain(ids))


def test_gradients_reach_what_pictures_pass_through_and_no_parameter_is_dead() -> None:
    attention, pictures = joint_attention(12), some_pictures(12)
    x = torch.randn(BATCH, TOKENS, TRUNK.width)
    (attention(x, pictures) ** 2).sum().backward()
    grads = {name: p.grad for name, p in attention.named_parameters()}
    assert all(grad is not None and grad.abs().sum() > 0 for grad in grads.values())
    assert set(grads) - {n for n, _ in SelfAttention(TRUNK).named_parameters()} == {
        "picture_norm.weight",
        "picture_norm.bias",
        "picture_key_value.bias",
    }


def test_bfloat16_autocast_is_close_to_float32() -> None:
    """The explicit attention that stands in for torch's kernel under autocast on a CPU."""
    torch.set_default_dtype(torch.float32)
    for fusion in ("none", "joint"):
        model, pictures = language_model(fusion), some_pictures(12)
        ids = torch.randint(0, VOCABULARY, (BATCH, TOKENS))
        exact = model(ids, pictures)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(ids, pictures).float()
        assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()


def test_a_wrong_parameter_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'scael'.*scale, layer_from_end"):
        make_fusion("joint", {"scael": "sqrt_d_head"})
    with pytest.raises(ConfigError, match="did you mean 'joint'"):
        make_fusion("jiont", {})


def test_slopes_written_by_hand_are_those_of_the_products() -> None:
    heads, places, pictures, head, value = 2, 5, 3, 4, 6
    sizes = {
        match: [(heads, places, head), (places, pictures, value)],
        mix: [(places, heads, pictures), (places, pictures, value)],
    }
    for product, shapes in sizes.items():
        shapes = [*shapes, (heads, head, value), (heads, head, 1)]
        given = [torch.randn(shape, requires_grad=True) for shape in shapes]
        assert torch.autograd.gradcheck(product, given)
