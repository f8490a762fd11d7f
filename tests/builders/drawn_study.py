"""An open study of random models and drawn squares: what the viewer asks, without a study having run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from builders.texts import make_tokenizer, write_source
from builders.trained import random_model
from PIL import Image

from valm.errors import InputError
from valm.evaluate.answers.predict import OWN
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.models.trunk import TrunkConfig
from valm.retrieve.neighbours import Neighbours
from valm.retrieve.showable import Showable
from valm.serve.open_study import OpenStudy, Picture, Voice

COLOURS = ("red", "green", "blue", "yellow", "white", "black")
HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'
TOP_K, VALUE_WIDTH = 3, 12
TRUNK = TrunkConfig(layers=3, width=16, heads=2, context_tokens=24)
VOICES = (
    ("gpt2_star", "none", "none", True),
    ("valm", "joint", "retrieved", True),
    ("valm", "joint", "none", False),
    ("valm_text_state", "joint", "text_state", True),
)


class DrawnStudy:
    """Answers as ``OpenStudy`` does; the pictures of a token follow from its id."""

    def __init__(self, folder: Path):
        text = [f"the color of a {colour} square is {colour}." for colour in COLOURS] * 20
        source = write_source(folder / "text", "notes", text)
        self.tokenizer = load_tokenizer(make_tokenizer(folder, [source]))
        self.context_tokens, self.seed, self.models_seed = TRUNK.context_tokens, 1, 3
        generator = np.random.default_rng(4)
        size = (len(COLOURS), VALUE_WIDTH)
        self.values = generator.standard_normal(size).astype(np.float16)
        self.showable = Showable(len(self.values))
        self.voices = tuple(
            Voice(
                model, control, own,
                random_model(TRUNK, fusion, {}, self.tokenizer.vocabulary_size, VALUE_WIDTH),
            )
            for model, fusion, control, own in VOICES
        )  # fmt: skip

    def retrieve(self, tokens: Sequence[int]) -> Neighbours:
        ids = (np.array(tokens)[:, np.newaxis] + np.arange(TOP_K)) % len(COLOURS)
        scores = np.broadcast_to(np.linspace(0.9, 0.5, TOP_K), ids.shape)
        states = np.random.default_rng(5).standard_normal((len(tokens), VALUE_WIDTH))
        mask = np.ones(ids.shape, np.bool_)
        return Neighbours(
            ids.astype(np.int32), scores.astype(np.float16), mask, states.astype(np.float16)
        )

    def growing_text(self) -> SimpleNamespace:
        return SimpleNamespace(pictures=self.retrieve)

    def voice(self, model: str, shown: str = OWN) -> Voice:
        return OpenStudy.voice(self, model, shown)  # type: ignore[arg-type]

    def find(self, text: str, count: int) -> list[Picture]:
        return [self.picture(i) for i, name in enumerate(COLOURS) if name in text.split()][:count]

    def picture(self, number: int) -> Picture:
        if not 0 <= number < len(COLOURS):
            raise InputError(f"there is no picture {number}")
        caption = HOSTILE if COLOURS[number] == "red" else f"a {COLOURS[number]} square"
        return Picture(number, f"{COLOURS[number]} square", caption, "drawn", "CC0-1.0")

    def picture_bytes(self, number: int) -> bytes:
        self.picture(number)
        file = io.BytesIO()
        Image.new("RGB", (32, 32), COLOURS[number]).save(file, "PNG")
        return file.getvalue()
