"""Generation with a cache and retrieval at each step says what reading everything anew would say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders.encoders import FakeEncoder
from builders.open_clip_models import parameters, saved, tiny_model
from builders.retrieval import unit_vectors, write_index, write_vectors
from builders.trained import random_model
from numpy.typing import NDArray

from valm.config.retrieve import Query
from valm.embed.encoders.open_clip import OpenClipEncoder, Params
from valm.errors import InputError
from valm.evaluate.answers.answering import Reader
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.language_model import LanguageModel
from valm.models.sampling import Sampling
from valm.models.trunk import TrunkConfig
from valm.retrieve.given import CONTROLS
from valm.retrieve.growing import GrowingText
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import look_up
from valm.retrieve.showable import Showable
from valm.serve.generation import generate
from valm.serve.open_study import Voice

TOP_K, PICTURES = 3, 40
GREEDY, DRAWN = Sampling(), Sampling(temperature=1.5, top_k=12)
WINDOWS, CHUNKS = Query(window_tokens=6, stride_tokens=3), Query(scheme="chunks")
# The oracle's pictures are a task's, not a text's.
GIVEN = [name for name in CONTROLS.names() if name != "oracle"]
STOP = 269 + 4


class Words:
    """Texts are ids with spaces between; nothing ends a text unless a test says so."""

    end_of_text = -1

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]


@dataclass
class Retrieving:
    """What ``generate`` asks of an open study, and the look-up of a whole text."""

    encoder: Any
    searcher: Searcher
    query: Query
    values: NDArray[np.float16]
    vocabulary: int
    context: int
    seed: int = 1

    def __post_init__(self) -> None:
        self.tokenizer = Words()
        self.showable = Showable(len(self.values))

    def growing_text(self) -> GrowingText:
        return GrowingText(self.encoder, self.searcher, self.query, TOP_K)

    def voice(self, control: str, fusion: str = "joint", **more: Any) -> Voice:
        trunk = TrunkConfig(layers=3, width=16, heads=2, context_tokens=self.context)
        model = random_model(trunk, fusion, {}, self.vocabulary, self.values.shape[1])
        return Voice("valm", control, True, model, **more)

    def by_reading_all(self, voice: Voice, prompt: str, count: int, how: Sampling) -> list[int]:
        """No cache, and at every step every token's pictures anew."""
        tokens, generator = self.tokenizer.encode(prompt), torch.Generator().manual_seed(7)
        for _ in range(count):
            (found,) = look_up([tokens], self.encoder, self.searcher, self.query, TOP_K)
            reader = Reader.shown(
                voice.network, voice.control, found.ids[:, : voice.top_k], found.values,
                self.values, self.showable, self.seed,
            )  # fmt: skip
            pictures = reader.pictures(np.arange(len(tokens))[np.newaxis])
            with torch.inference_mode():
                logits = voice.network(torch.tensor([tokens]), pictures)[0, -1]
            tokens.append(how.draw(logits, generator))
        return tokens


def masked_model(study: Retrieving) -> LanguageModel:
    trunk = TrunkConfig(layers=3, width=16, heads=2, context_tokens=study.context)
    fusion = make_fusion("none", {})
    return LanguageModel(trunk, fusion, study.vocabulary, objective="masked_lm")


def searcher(folder: Path, width: int) -> Searcher:
    vectors = write_vectors(folder, unit_vectors(PICTURES, width))
    return Searcher(vectors, write_index(folder / "indices", vectors))


def some_values(width: int) -> NDArray[np.float16]:
    return np.random.default_rng(3).standard_normal((PICTURES, width)).astype(np.float16)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Retrieving:
    encoder = FakeEncoder()
    found = searcher(tmp_path_factory.mktemp("windows"), encoder.key_width)
    return Retrieving(encoder, found, WINDOWS, some_values(encoder.value_width), 512, 30)


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> Retrieving:
    """CLIP's text tower under the official queries."""
    folder = tmp_path_factory.mktemp("chunks")
    model, config = tiny_model(folder, context_length=77)
    checkpoint = saved(model, folder / "weights.safetensors")
    params = Params.model_validate(parameters(config, checkpoint))
    encoder = OpenClipEncoder(model, params, "clip_fairseq")
    found = searcher(folder, encoder.key_width)
    return Retrieving(encoder, found, CHUNKS, some_values(encoder.value_width), 3000, 100)


PROMPT = " ".join(map(str, range(20, 30)))
# 70 words, with a full stop after 20: the chunk is cut there once the text has more than 75 tokens.
LONG_PROMPT = " ".join(map(str, [*range(2000, 2020), STOP, *range(2021, 2070)]))


@pytest.mark.parametrize("how", [GREEDY, DRAWN])
@pytest.mark.parametrize("control", GIVEN)
def test_same_tokens_as_reading_everything_anew(
    windows: Retrieving, control: str, how: Sampling
) -> None:
    voice = windows.voice(control, top_k=2)
    made = generate(windows, voice, PROMPT, 14, how, seed=7)  # type: ignore[arg-type]
    assert made.tokens == windows.by_reading_all(voice, PROMPT, 14, how)
    assert made.prompt_tokens == 10 and len(made.tokens) == 24
    if control in ("retrieved", "text_state", "none", "zero"):
        assert made.read_again == 0


@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_any_fusion_goes_on(windows: Retrieving, fusion: str) -> None:
    voice = windows.voice("retrieved", fusion)
    made = generate(windows, voice, PROMPT, 5, GREEDY)  # type: ignore[arg-type]
    assert made.tokens == windows.by_reading_all(voice, PROMPT, 5, GREEDY)
    assert (made.weights is not None) is voice.network.fusion.reads_pictures


@pytest.mark.parametrize("control", ["retrieved", "text_state"])
@pytest.mark.parametrize("how", [GREEDY, DRAWN])
def test_official_queries_look_ahead_so_earlier_tokens_are_read_again(
    chunks: Retrieving, control: str, how: Sampling
) -> None:
    """When the text passes 75 tokens, what stands behind the full stop gets other pictures."""
    voice = chunks.voice(control)
    made = generate(chunks, voice, LONG_PROMPT, 12, how, seed=7)  # type: ignore[arg-type]
    assert made.tokens == chunks.by_reading_all(voice, LONG_PROMPT, 12, how)
    assert made.read_again > 40
    short = generate(chunks, voice, "2000 2001 2002", 12, how, seed=7)  # type: ignore[arg-type]
    assert short.tokens == chunks.by_reading_all(voice, "2000 2001 2002", 12, how)


def test_a_growing_text_looks_up_new_tokens_only(windows: Retrieving) -> None:
    text, tokens = windows.growing_text(), list(range(20))
    text.pictures(tokens[:15])
    before = windows.encoder.windows
    found = text.pictures(tokens)
    assert windows.encoder.windows - before == 2  # that hold tokens 15 to 19
    (whole,) = look_up([tokens], windows.encoder, windows.searcher, WINDOWS, TOP_K)
    for name, column in vars(whole).items():
        np.testing.assert_array_equal(getattr(found, name), column)


def test_it_stops_at_the_end_of_a_text_and_of_the_context(
    windows: Retrieving, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = windows.voice("retrieved")
    tokens = generate(windows, voice, PROMPT, 21, GREEDY).tokens  # type: ignore[arg-type]
    assert len(tokens) == 31  # the last one is not read
    with pytest.raises(InputError, match=r"10 tokens and 22 more .* 30 tokens -> .* at most 21"):
        generate(windows, voice, PROMPT, 22, GREEDY)  # type: ignore[arg-type]
    masked = replace(voice, network=masked_model(windows))
    with pytest.raises(InputError, match="valm learnt masked_lm, which gives no next token"):
        generate(windows, masked, PROMPT, 5, GREEDY)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no token"):
        generate(windows, voice, "", 5, GREEDY)  # type: ignore[arg-type]
    end = tokens[14]
    monkeypatch.setattr(windows.tokenizer, "end_of_text", end)
    stopped = generate(windows, voice, PROMPT, 21, GREEDY).tokens  # type: ignore[arg-type]
    assert stopped == tokens[: tokens.index(end, 10) + 1]


def test_sampling_in_closed_form() -> None:
    logits = torch.tensor([0.0, 3.0, 2.0, 1.0]).log1p()
    generator = torch.Generator().manual_seed(1)
    assert Sampling().draw(logits, generator) == 1

    def shares(how: Sampling) -> list[float]:
        drawn = [how.draw(logits, generator) for _ in range(4000)]
        return [drawn.count(token) / 4000 for token in range(4)]

    assert shares(Sampling(1.0)) == pytest.approx([0.1, 0.4, 0.3, 0.2], abs=0.03)
    assert shares(Sampling(0.5)) == pytest.approx([1 / 30, 16 / 30, 9 / 30, 4 / 30], abs=0.03)
    assert shares(Sampling(1.0, top_k=2)) == pytest.approx([0, 4 / 7, 3 / 7, 0], abs=0.03)
    again = [[DRAWN.draw(logits, torch.Generator().manual_seed(5)) for _ in range(3)] for _ in "ab"]
    assert again[0] == again[1]
