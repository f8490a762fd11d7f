"""A model that goes on from a cache says what it says of the whole text, whatever its fusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from valm.errors import InputError
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig

TEXTS, TOKENS, PLACES, VALUE_WIDTH, VOCABULARY = 3, 9, 2, 20, 40
TRUNK = TrunkConfig(layers=3, width=12, heads=3, context_tokens=TOKENS)
EXACT = {torch.float64: 1e-12, torch.float32: 1e-6}

every_model = pytest.mark.parametrize(
    ("fusion", "positions", "dtype"),
    [
        (fusion, positions, dtype)
        for fusion in FUSIONS.names()
        for positions in ("sinusoidal", "learned")
        for dtype in EXACT
    ],
)


def make(fusion: str, positions: Any, dtype: torch.dtype) -> LanguageModel:
    trunk = replace(TRUNK, positions=positions)
    model = LanguageModel(trunk, make_fusion(fusion, {}), VOCABULARY, VALUE_WIDTH)
    initialise(model, 1)
    return model.to(dtype).eval()


def some_text(dtype: torch.dtype, texts: int = TEXTS) -> tuple[Tensor, Pictures]:
    generator = torch.Generator().manual_seed(2)
    shape = (texts, TOKENS, PLACES)
    mask = torch.rand(shape, generator=generator) < 0.7
    vectors = torch.randn((*shape, VALUE_WIDTH), generator=generator).to(dtype)
    return torch.randint(0, VOCABULARY, shape[:2], generator=generator), Pictures(
        mask, vectors=vectors
    )


def part(pictures: Pictures | None, first: int, end: int) -> Pictures | None:
    if pictures is None or pictures.vectors is None:
        return None
    return Pictures(pictures.mask[:, first:end], vectors=pictures.vectors[:, first:end])


def assert_equal(found: Tensor, wanted: Tensor) -> None:
    exact = EXACT[wanted.dtype]
    torch.testing.assert_close(
        found, wanted, atol=exact * float(wanted.detach().abs().max()), rtol=0
    )


@every_model
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("stretches", [(9,), (1,) * 9, (4, 1, 3, 1), (1, 5, 3)])
def test_stretch_by_stretch_is_the_whole_text(
    fusion: str, positions: str, dtype: torch.dtype, seen: bool, stretches: tuple[int, ...]
) -> None:
    model = make(fusion, positions, dtype)
    ids, pictures = some_text(dtype)
    given = pictures if seen else None
    cache, found = model.empty_cache(), []
    for count in stretches:
        first, end = cache.tokens, cache.tokens + count
        found.append(model(ids[:, first:end], part(given, first, end), cache))
        assert cache.tokens == end
    assert_equal(torch.cat(found, dim=1), model(ids, given))


@every_model
def test_one_prefix_serves_continuations_of_other_lengths(
    fusion: str, positions: str, dtype: torch.dtype
) -> None:
    """Padding behind a shorter continuation changes nothing; the prefix is there afterwards."""
    model = make(fusion, positions, dtype)
    ids, pictures = some_text(dtype)
    prefix, lengths = 4, (5, 1, 3)
    assert pictures.vectors is not None
    for rows in (ids, pictures.mask, pictures.vectors):
        rows[:, :prefix] = rows[:1, :prefix].clone()
    cache = model.empty_cache()
    opening = part(pictures, 0, prefix)
    assert opening is not None and opening.vectors is not None
    model(ids[:1, :prefix], Pictures(opening.mask[:1], vectors=opening.vectors[:1]), cache)
    for _ in range(2):
        found = model(ids[:, prefix:], part(pictures, prefix, TOKENS), cache.repeated(TEXTS))
        assert cache.tokens == prefix
        for text, length in enumerate(lengths):
            mine = slice(text, text + 1)
            alone = Pictures(
                pictures.mask[mine, : prefix + length],
                vectors=pictures.vectors[mine, : prefix + length],
            )
            wanted = model(ids[mine, : prefix + length], alone)[:, prefix:]
            assert_equal(found[mine, :length], wanted)


@every_model
def test_a_cache_that_is_cut_back_has_forgotten_the_rest(
    fusion: str, positions: str, dtype: torch.dtype
) -> None:
    model = make(fusion, positions, dtype)
    ids, pictures = some_text(dtype)
    cache = model.empty_cache()
    model(ids, pictures, cache)
    for kept in (0, 5):
        other = torch.cat([ids[:, :kept], (ids[:, kept:] + 1) % VOCABULARY], dim=1)
        found = model(other[:, kept:], part(pictures, kept, TOKENS), cache.first(kept))
        assert_equal(found, model(other, pictures)[:, kept:])
    assert cache.tokens == TOKENS


@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_bfloat16_on_a_cpu_goes_on_from_a_cache_too(fusion: str) -> None:
    """The explicit attention that stands in for torch's kernel there."""
    model = make(fusion, "sinusoidal", torch.float32)
    ids, pictures = some_text(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        cache = model.empty_cache()
        model(ids[:, :4], part(pictures, 0, 4), cache)
        found = model(ids[:, 4:], part(pictures, 4, TOKENS), cache).float()
    exact = model(ids, pictures)[:, 4:]
    assert (found - exact).abs().max() < 0.03 * exact.abs().max()


def test_the_cache_counts_against_the_context() -> None:
    model = make("none", "sinusoidal", torch.float32)
    ids, _ = some_text(torch.float32)
    cache = model.empty_cache()
    model(ids, None, cache)
    with pytest.raises(InputError, match=f"{TOKENS + 1} tokens is longer than .* of {TOKENS}"):
        model(ids[:, :1], None, cache)
