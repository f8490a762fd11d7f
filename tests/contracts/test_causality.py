"""The causality gate with retrieval in the loop: every fusion under every preset of the paper's study.

``test_fusions.py`` puts other pictures at one place; here a token is changed and everything that follows from it
happens again, as in training and in generating: chunks or windows, queries, search, logits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.causality import places_seen_ahead
from builders.open_clip_models import parameters, saved, tiny_model
from builders.retrieval import unit_vectors, write_index, write_vectors
from torch import Tensor

from valm.config.retrieve import Index, Preset
from valm.config.study import Study, load_study
from valm.embed.encoders.open_clip import OpenClipEncoder, Params
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import look_up

ROOT = Path(__file__).parents[2]
PAPER: Study = load_study([ROOT / "config.yaml", ROOT / "config/studies/paper.yaml"])
PRESETS = [preset.name for preset in PAPER.retrieve.presets]
END_OF_LINE, STOP = 2, 269 + 4  # in fairseq's layout
TOKENS, STOP_AT, LONGEST_CHUNK = 90, 20, 75
PICTURES, WIDTH, TOP_K = 400, 16, 4

Reading = Callable[[int | None], Tensor]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEncoder:
    """A tiny random CLIP with 77 positions that reads the ids of fairseq's layout."""
    folder = tmp_path_factory.mktemp("clip")
    model, config = tiny_model(folder, context_length=77)
    checkpoint = saved(model, folder / "weights.safetensors")
    return OpenClipEncoder(
        model, Params.model_validate(parameters(config, checkpoint)), "clip_fairseq"
    )


def searcher_of(preset: Preset, folder: Path) -> Searcher:
    """Exact search of keys as the preset's index takes them, over pictures of unequal length."""
    (index,) = (each for each in PAPER.retrieve.indices if each.name == preset.index)
    norms = np.random.default_rng(3).uniform(1, 3, PICTURES).astype(np.float32)
    vectors = write_vectors(folder, unit_vectors(PICTURES, WIDTH), norms)
    entry: Index = index.model_copy(update={"factory": "Flat"})
    return Searcher(vectors, write_index(folder, vectors, keys=entry.keys))


def reading(fusion: str, preset: Preset, encoder: OpenClipEncoder, folder: Path) -> Reading:
    """The logits of a text of 90 words with a stop after 20, an end of line put at one place."""
    trunk = TrunkConfig(layers=2, width=WIDTH, heads=2, context_tokens=TOKENS)
    model = LanguageModel(trunk, make_fusion(fusion, {}), 49_412, WIDTH)
    initialise(model, 1)
    searcher = searcher_of(preset, folder)
    table = torch.from_numpy(unit_vectors(PICTURES, WIDTH, seed=5).astype(np.float32))
    text = np.arange(2_000, 2_000 + TOKENS)
    text[STOP_AT] = STOP

    def logits(place: int | None) -> Tensor:
        tokens = text.copy()
        if place is not None:
            tokens[place] = END_OF_LINE
        (found,) = look_up([tokens.tolist()], encoder, searcher, preset.query, TOP_K)
        mask, ids = (
            torch.from_numpy(each)[None] for each in (found.mask, found.ids.astype(np.int64))
        )
        with torch.inference_mode():
            return model.eval()(torch.from_numpy(tokens)[None], Pictures(mask, table, ids))

    return logits


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_nothing_ahead_is_seen_but_by_the_official_cuts(
    fusion: str, name: str, encoder: OpenClipEncoder, tmp_path: Path
) -> None:
    """``fixed`` passes; ``parity`` fails where an end of line moves the first cut, and so shows that the gate bites.

    An end of line at place j, within reach of the first chunk, takes the cut away from the stop: the tokens
    between stop and j are then looked up with another context, although they come before j.
    """
    preset = PAPER.retrieve.preset_named(name)
    seen = places_seen_ahead(reading(fusion, preset, encoder, tmp_path), TOKENS)
    looks_ahead = preset.query.scheme == "chunks" and make_fusion(fusion, {}).reads_pictures
    near_the_cut = list(range(STOP_AT + 2, LONGEST_CHUNK))
    assert seen == (near_the_cut if looks_ahead else [])


def test_the_presets_are_the_two_that_the_table_of_parity_speaks_of() -> None:
    assert PRESETS == ["parity", "fixed"]
    parity, fixed = (PAPER.retrieve.preset_named(name) for name in PRESETS)
    keys = {index.name: index.keys for index in PAPER.retrieve.indices}
    assert (parity.query.scheme, keys[parity.index]) == ("chunks", "raw")
    assert (fixed.query.scheme, keys[fixed.index]) == ("windows", "unit")
    scales = {
        (variant.preset, variant.fusion.params["scale"])
        for variant in PAPER.models.variants
        if variant.preset
    }
    assert scales == {("parity", "sqrt_d_model"), ("fixed", "sqrt_d_head")}
