"""A finished study, opened for questions: its models, its retriever, and the image base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.config.retrieve import Preset
from valm.config.study import Study
from valm.core.manifest import read_manifest
from valm.core.registry import did_you_mean
from valm.embed.encoder import Encoder, load_encoder
from valm.errors import ConfigError, InputError
from valm.evaluate.answers.predict import ORACLE, OWN
from valm.ingest.pictures.numbering import picture_bytes, read_picture_list
from valm.ingest.pictures.retracted import KIND as RETRACTED
from valm.ingest.pictures.retracted import retracted_beside
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer
from valm.models.language_model import LanguageModel
from valm.retrieve.growing import GrowingText
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import Neighbours, look_up
from valm.retrieve.showable import Showable
from valm.train.saved_model import load_model

NONE = "none"
KEPT_PICTURES = 512  # encoded pictures kept in memory, a few kilobytes each


@dataclass(frozen=True)
class Voice:
    """A model that is asked, with what it is given to look at.

    Attributes:
        model: Name of the variant.
        control: Name of the picture control that it is given, ``none`` for no pictures.
        own: Whether this is what it was trained with.
        network: The model.
        top_k: Pictures per token that it reads, of those found; None: all.
    """

    model: str
    control: str
    own: bool
    network: LanguageModel
    top_k: int | None = None

    @property
    def shown(self) -> str:
        """What it is shown, as scores name it: ``own``, or a control."""
        return OWN if self.own else self.control

    @property
    def key(self) -> str:
        """Its name among all voices."""
        return f"{self.model}:{self.shown}"

    @property
    def sees_retrieved(self) -> bool:
        """Whether it looks at the pictures that a reader of the page can exchange."""
        return self.control == "retrieved"


@dataclass(frozen=True)
class Picture:
    """What is known of a picture of the image base."""

    id: int
    name: str
    caption: str
    source: str
    licence: str


class OpenStudy:
    """A finished study in memory; nothing of it is changed.

    Args:
        study: Its configuration.
        seed: Seed of the models that are asked; None: the study's first.
        preset: Preset that pictures are found by; None: the study's first. Asked are the models that
            read its pictures, or none.
        model: Name of the one variant that is asked; None: all.

    Attributes:
        models_seed: Seed of the models that are asked.

    Raises:
        InputError: A result is missing, there is no model of that seed, or pictures were taken down
            that the index still holds.
    """

    def __init__(
        self,
        study: Study,
        seed: int | None = None,
        preset: str | None = None,
        model: str | None = None,
    ):
        root = study.results
        chosen = study.retrieve.preset_named(preset)
        self._query, self._top_k = chosen.query, study.retrieve.top_k
        self._seed = study.seed
        self._list = root / "ingest/pictures/list.manifest.json"
        vectors = root / "embed/vectors/vectors.manifest.json"
        self.tokenizer: Tokenizer = load_tokenizer(
            root / "ingest/tokenizer/tokenizer.manifest.json"
        )
        self._encoder: Encoder = load_encoder(root / "embed/encoder/encoder.manifest.json")
        index = root / f"retrieve/indices/{chosen.index}.manifest.json"
        check_nothing_taken_down_since(index, self._list.with_name(f"{RETRACTED}.manifest.json"))
        self._searcher = Searcher(vectors, index)
        self.values: NDArray[np.float16] = np.load(
            vectors.with_name("values.npy"), mmap_mode="r", allow_pickle=False
        )
        self.showable = Showable(len(self.values), retracted_beside(self._list))
        self._pictures = pictures_to_show(self._list)
        self.models_seed = study.train.seeds[0] if seed is None else seed
        self.voices = tuple(_voices(study, chosen, self.models_seed, model))
        self.context_tokens = study.models.trunk.context_tokens
        self.picture_bytes = lru_cache(KEPT_PICTURES)(self._picture_bytes)

    @classmethod
    def with_model(cls, study: Study, model: str, seed: int | None = None) -> OpenStudy:
        """The study with one model, and the pictures of the preset that it reads.

        Raises:
            ConfigError: There is no such variant.
            InputError: As of the class.
        """
        names = [variant.name for variant in study.models.variants]
        if model not in names:
            raise ConfigError(f"there is no model {model!r}", cure=did_you_mean(model, names))
        return cls(study, seed, study.models.named(model).preset, model)

    def voice(self, model: str, shown: str = OWN) -> Voice:
        """A model with what it is shown.

        Raises:
            ConfigError: The study does not have it.
        """
        voices = {voice.key: voice for voice in self.voices}
        key = f"{model}:{shown}"
        if key not in voices:
            raise ConfigError(f"nothing is shown as {key!r}", cure=did_you_mean(key, voices))
        return voices[key]

    @property
    def seed(self) -> int:
        """The study's seed, which the controls draw from."""
        return self._seed

    def retrieve(self, tokens: Sequence[int]) -> Neighbours:
        """The pictures of every token of a text."""
        return look_up([tokens], self._encoder, self._searcher, self._query, self._top_k)[0]

    def growing_text(self) -> GrowingText:
        """A text to be, whose tokens get their pictures as they come."""
        return GrowingText(self._encoder, self._searcher, self._query, self._top_k)

    def find(self, text: str, count: int) -> list[Picture]:
        """Pictures nearest to the state of a text's last token, best first."""
        tokens = self.tokenizer.encode(text)
        if not tokens:
            return []
        found = look_up([tokens], self._encoder, self._searcher, self._query, count)[0]
        return [self.picture(int(i)) for i in found.ids[-1][found.mask[-1]]]

    def picture(self, number: int) -> Picture:
        """A picture by its id.

        Raises:
            InputError: There is none of that id.
        """
        if number not in self._pictures:
            raise InputError(f"there is no picture {number}", where=self._list)
        return self._pictures[number]

    def _picture_bytes(self, number: int) -> bytes:
        self.picture(number)
        return picture_bytes(self._list, [number])[number]


def check_nothing_taken_down_since(index: Path, retracted: Path) -> None:
    """Refuse an index that was built before the last picture was taken down: it finds what is gone.

    Args:
        index: Manifest of an index.
        retracted: Manifest of the pictures that were taken down, if there is one.

    Raises:
        InputError: The index knows another list.
    """
    if not retracted.is_file():
        return
    if read_manifest(retracted, RETRACTED).digest not in read_manifest(index).parents.values():
        raise InputError(
            "pictures were taken down after this index was built, or put back",
            where=index,
            cure="run the study again",
        )


def pictures_to_show(listed: Path) -> dict[int, Picture]:
    """The pictures of a list by id, without those that have been taken down."""
    columns = ("id", "name", "caption", "source", "licence")
    rows: list[dict[str, Any]] = read_picture_list(listed).select(columns).to_pylist()
    gone = {-1, *retracted_beside(listed).tolist()}
    return {row["id"]: Picture(**row) for row in rows if row["id"] not in gone}


def _voices(study: Study, preset: Preset, seed: int, model: str | None) -> list[Voice]:
    """Every variant with its own pictures, then what learnt from retrieved ones with the controls.

    Without a model's name those that expect no next word are left out.
    """
    own, controlled = [], []
    for variant in study.models.variants:
        if model not in (None, variant.name):
            continue
        if variant.pictures != NONE and study.retrieve.preset_named(variant.preset) != preset:
            continue
        manifest = study.results / f"train/{variant.name}/seed{seed}/model.manifest.json"
        network, _ = load_model(manifest)
        if model is None and not network.objective.causal:
            continue
        own.append(Voice(variant.name, variant.pictures, True, network, variant.top_k))
        if variant.takes_controls:
            controlled += [
                Voice(variant.name, control, False, network, variant.top_k)
                for control in study.evaluate.controls
                if control != ORACLE  # whose pictures are known of a task's questions only
            ]
    return own + controlled
