"""Texts that share a row say what each says by itself, whatever the fusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from valm.errors import InputError
from valm.models.branches import Branches
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig

ROWS, TOKENS, PLACES, VALUE_WIDTH, VOCABULARY = 3, 14, 2, 20, 40
TRUNK = TrunkConfig(layers=3, width=12, heads=3, context_tokens=6)
EXACT = {torch.float64: 1e-12, torch.float32: 1e-6}
# Two trees in a row, a chain, and one token beside one that goes on; -1 begins a text.
PARENTS = torch.tensor(
    [
        [-1, 0, 1, 1, 3, 0, -1, 6, 7, 7, 6, 10, 11, 4],
        [-1, 0, 1, 2, 3, 4, -1, -1, -1, -1, -1, -1, -1, -1],
        [-1, -1, 1, 1, 1, 2, 5, 3, 0, 0, 0, 0, 0, 8],
    ]
)


def make(fusion: str, positions: Any, dtype: torch.dtype) -> LanguageModel:
    trunk = replace(TRUNK, positions=positions)
    model = LanguageModel(trunk, make_fusion(fusion, {}), VOCABULARY, VALUE_WIDTH)
    initialise(model, 1)
    return model.to(dtype).eval()


def some_rows(dtype: torch.dtype) -> tuple[Tensor, Pictures]:
    generator = torch.Generator().manual_seed(2)
    shape = (ROWS, TOKENS, PLACES)
    mask = torch.rand(shape, generator=generator) < 0.7
    vectors = torch.randn((*shape, VALUE_WIDTH), generator=generator).to(dtype)
    ids = torch.randint(0, VOCABULARY, shape[:2], generator=generator)
    return ids, Pictures(mask, vectors=vectors)


def path(row: int, place: int) -> list[int]:
    found = []
    while place >= 0:
        found.append(place)
        place = int(PARENTS[row, place])
    return found[::-1]


def alone(model: LanguageModel, ids: Tensor, pictures: Pictures, seen: bool) -> Tensor:
    """States at every place, each from a pass over its own text."""
    assert pictures.vectors is not None
    states = []
    for row in range(ROWS):
        for place in range(TOKENS):
            text = [row], path(row, place)
            own = Pictures(pictures.mask[text][None], vectors=pictures.vectors[text][None])
            states.append(model.states(ids[text][None], own if seen else None)[0, -1])
    return torch.stack(states).view(ROWS, TOKENS, -1)


@pytest.mark.parametrize("fusion", FUSIONS.names())
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("seen", [True, False])
def test_each_token_is_what_it_is_in_its_own_text(
    fusion: str, positions: str, dtype: torch.dtype, seen: bool
) -> None:
    model, (ids, pictures) = make(fusion, positions, dtype), some_rows(dtype)
    found = model.states(ids, pictures if seen else None, prefix=Branches.of(PARENTS))
    wanted = alone(model, ids, pictures, seen)
    torch.testing.assert_close(
        found, wanted, atol=EXACT[dtype] * float(wanted.detach().abs().max()), rtol=0
    )


@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_bfloat16_on_a_cpu_keeps_texts_apart_too(fusion: str) -> None:
    """The explicit attention that stands in for torch's kernel there."""
    model, (ids, pictures) = make(fusion, "sinusoidal", torch.float32), some_rows(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.states(ids, pictures, prefix=Branches.of(PARENTS)).float()
    wanted = alone(model, ids, pictures, seen=True)
    assert (found - wanted).abs().max() < 0.03 * wanted.abs().max()


def test_a_text_in_a_row_may_not_be_longer_than_the_context() -> None:
    model = make("none", "learned", torch.float32)
    chain = torch.arange(TOKENS)[None] - 1
    with pytest.raises(InputError, match="an input of 14 tokens is longer"):
        model.states(torch.zeros(1, TOKENS, dtype=torch.long), prefix=Branches.of(chain))
