"""What must hold of every fusion, in every architecture, under every objective."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from builders.causality import places_seen_ahead
from torch import Tensor

from valm.errors import ConfigError
from valm.models.architecture import ARCHITECTURES
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.objective import OBJECTIVES
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig

TEXTS, TOKENS, PLACES, ROWS, VOCABULARY = 2, 7, 3, 11, 40
TRUNK = TrunkConfig(layers=3, width=12, heads=3, context_tokens=TOKENS)
ARCHITECTURE = [("fairseq", "sinusoidal"), ("fairseq", "learned"), ("gpt2", "learned")]
EXACT = 1e-12

every_fusion = pytest.mark.parametrize("fusion", FUSIONS.names())
every_trunk = pytest.mark.parametrize(("architecture", "positions"), ARCHITECTURE)
# Pictures of the trunk's width share its projections, others have their own.
every_width = pytest.mark.parametrize("value_width", [TRUNK.width, 20])


@pytest.fixture(autouse=True)
def _float64() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(
    fusion: str, architecture: str, positions: Any, value_width: int = 12,
    objective: str = "causal_lm", **params: Any,
) -> LanguageModel:  # fmt: skip
    trunk = replace(TRUNK, architecture=architecture, positions=positions)
    model = LanguageModel(trunk, make_fusion(fusion, params), VOCABULARY, value_width, objective)
    initialise(model, 1)
    return model.eval()


def some_ids() -> Tensor:
    return torch.randint(0, VOCABULARY, (TEXTS, TOKENS))


def some_pictures(value_width: int) -> Pictures:
    mask = torch.rand(TEXTS, TOKENS, PLACES) < 0.7
    mask[0, 2] = False
    ids = torch.randint(0, ROWS, mask.shape).where(mask, -1)
    return Pictures(mask, table=3 * torch.randn(ROWS, value_width) + 1, ids=ids)


def at_places(pictures: Pictures, order: Tensor) -> Pictures:
    assert pictures.ids is not None
    return replace(pictures, mask=pictures.mask[..., order], ids=pictures.ids[..., order])


def test_every_architecture_is_tested() -> None:
    assert {name for name, _ in ARCHITECTURE} == set(ARCHITECTURES.names())


@every_fusion
@every_trunk
@every_width
def test_without_pictures_it_is_the_trunk(
    fusion: str, architecture: str, positions: str, value_width: int
) -> None:
    """None at all, K = 0, and places that are all masked: the logits of GPT-2*."""
    model, plain = (make(name, architecture, positions, value_width) for name in (fusion, "none"))
    ids, pictures = some_ids(), some_pictures(value_width)
    wanted = plain(ids)
    no_places = Pictures(pictures.mask[..., :0], vectors=pictures.values()[..., :0, :])
    hidden = replace(pictures, mask=torch.zeros_like(pictures.mask))
    for given in (None, no_places, hidden):
        torch.testing.assert_close(model(ids, given), wanted, atol=EXACT, rtol=0)


@every_fusion
@every_trunk
@every_width
def test_pictures_have_no_order_and_masked_ones_say_nothing(
    fusion: str, architecture: str, positions: str, value_width: int
) -> None:
    model = make(fusion, architecture, positions, value_width)
    ids, pictures = some_ids(), some_pictures(value_width)
    assert pictures.ids is not None
    wanted = model(ids, pictures)
    assert torch.equal(model(ids), wanted) is not model.fusion.reads_pictures
    turned = at_places(pictures, torch.tensor([2, 0, 1]))
    torch.testing.assert_close(model(ids, turned), wanted, atol=EXACT, rtol=0)
    others = torch.randint(0, ROWS, pictures.ids.shape)
    swapped = replace(pictures, ids=pictures.ids.where(pictures.mask, others))
    torch.testing.assert_close(model(ids, swapped), wanted, atol=EXACT, rtol=0)


@every_fusion
@every_trunk
@every_width
@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_nothing_ahead_is_seen(
    fusion: str, architecture: str, positions: str, value_width: int, objective: str
) -> None:
    """The causality gate: a token, or its pictures, leaves all logits before it bit-equal.

    A model that is not causal fails it, so that the gate is known to bite.
    """
    model = make(fusion, architecture, positions, value_width, objective)
    ids, pictures = some_ids(), some_pictures(value_width)
    assert pictures.ids is not None

    def with_another_token(place: int | None) -> Tensor:
        changed = ids.clone()
        if place is not None:
            changed[:, place] = (ids[:, place] + 1) % VOCABULARY
        return model(changed, pictures)

    def with_other_pictures(place: int | None) -> Tensor:
        assert pictures.ids is not None
        rows, mask = pictures.ids.clone(), pictures.mask.clone()
        if place is not None:
            rows[:, place] = (rows[:, place] + 1) % ROWS
            mask[:, place] = ~mask[:, place]
        return model(ids, replace(pictures, mask=mask, ids=rows))

    causal = OBJECTIVES.get(objective).causal
    ahead = list(range(1, TOKENS))
    assert places_seen_ahead(with_another_token, TOKENS) == ([] if causal else ahead)
    # A masked LM's tokens are all shown the pictures of the last.
    last = [] if causal or not model.fusion.reads_pictures else [TOKENS - 1]
    assert places_seen_ahead(with_other_pictures, TOKENS) == last


@every_fusion
@every_trunk
@every_width
@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_no_parameter_is_dead(
    fusion: str, architecture: str, positions: str, value_width: int, objective: str
) -> None:
    model = make(fusion, architecture, positions, value_width, objective)
    generator = torch.Generator().manual_seed(3)
    ids = torch.arange(TEXTS * TOKENS).view(TEXTS, TOKENS)
    exercise = model.objective.exercise(ids, ids.roll(-1, 1), VOCABULARY, generator)
    pictures = some_pictures(value_width)
    loss = model.loss(exercise.ids, exercise.answers, pictures, exercise.asked, exercise.prefix)
    loss.backward()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert dead == []


@every_fusion
@every_trunk
def test_what_it_shares_with_gpt2_star_starts_bit_equal(
    fusion: str, architecture: str, positions: str
) -> None:
    state = make(fusion, architecture, positions).state_dict()
    for name, value in make("none", architecture, positions).state_dict().items():
        assert torch.equal(value, state[name])


@pytest.mark.parametrize("layers", [2, 3])
def test_every_fusion_with_pictures_reads_them_somewhere_or_says_so(layers: int) -> None:
    trunk = replace(TRUNK, layers=layers)
    for fusion in FUSIONS.names():
        model = LanguageModel(trunk, make_fusion(fusion, {}), VOCABULARY, 12)
        assert bool(model.fused_layers) is model.fusion.reads_pictures
    with pytest.raises(ConfigError, match=rf"layer_from_end=4.* no layer of a trunk of {layers}"):
        LanguageModel(trunk, make_fusion("joint", {"layer_from_end": 4}), VOCABULARY, 12)


COUNTS = {
    ("none", "fairseq"): 123_004_416, ("joint", "fairseq"): 123_007_488,
    # GPT-2 small with CLIP's vocabulary and 512 learned positions.
    ("none", "gpt2"): 123_004_416 + 512 * 768, ("joint", "gpt2"): 123_007_488 + 512 * 768,
}  # fmt: skip


@pytest.mark.parametrize(("fusion", "architecture"), COUNTS)
def test_parameter_counts_of_the_paper(fusion: str, architecture: str) -> None:
    """VALM.md 4.1 and 9: GPT-2*, and VaLM without the official code's dead weights."""
    positions = {"fairseq": "sinusoidal", "gpt2": "learned"}
    trunk = TrunkConfig(12, 768, 12, 512, positions[architecture], 0.1, architecture)  # type: ignore[arg-type]
    with torch.device("meta"):
        model = LanguageModel(trunk, make_fusion(fusion, {}), 49_412, 768)
    assert model.parameter_count == COUNTS[fusion, architecture]
