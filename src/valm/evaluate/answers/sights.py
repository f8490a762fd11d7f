"""``look-at-prompts``: where models look in a few prompts, and what they answer to other pictures.

The paper's figures 2 and 3, for every seed: attention over a prompt and its retrieved pictures, and the
shares of the colour words when the pictures are exchanged. Single prompts illustrate; what holds of
many is a matter of the tasks' controls.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from valm.config.embed import Features
from valm.config.evaluate import Counterfactual
from valm.config.models import Variant
from valm.config.retrieve import Preset
from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.embed.encoder import ENCODERS, load_encoder
from valm.embed.features.extract import features_of, network_of
from valm.evaluate.answers.answering import Reader
from valm.evaluate.answers.exchanges import (
    TURNS,
    Exchange,
    PictureValues,
    exchanges,
    reader_of,
)
from valm.evaluate.answers.looking import Sight, look
from valm.evaluate.questions.own_pictures import PicturesByName
from valm.ingest.pictures.hue import hue_turned
from valm.ingest.pictures.numbering import picture_bytes
from valm.ingest.probes import COLOURS
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer
from valm.models.language_model import LanguageModel
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import Neighbours, look_up
from valm.retrieve.showable import Showable
from valm.train.saved_model import load_model

KIND = "sights"
DECIMALS = 6


@dataclass(frozen=True)
class Base:
    """Manifests of what pictures are looked up and embedded with.

    Attributes:
        raw: Of the raw files that picture features need; none for an encoder that reads pixels.
        retracted: Of the pictures that have been taken down, which nobody is shown.
    """

    pictures: Path
    encoder: Path
    vectors: Path
    index: Path
    raw: Sequence[Path] = ()
    retracted: Path | None = None

    @property
    def parents(self) -> list[Path]:
        """All of them."""
        parents = [self.pictures, self.encoder, self.vectors, self.index, *self.raw]
        return parents + ([self.retracted] if self.retracted else [])


@dataclass(frozen=True)
class Asked:
    """One seed of a variant."""

    variant: Variant
    seed: int
    network: LanguageModel


def look_at_prompts(
    job: Job, *, models: Sequence[Path], tokenizer: Path, base: Base, output: Path
) -> None:
    """Write ``sights.json``: for each prompt its tokens, pictures, attention and exchanged answers.

    Args:
        models: Manifests of the models that read retrieved pictures or none.
        tokenizer: Manifest of the tokenizer.
        base: The picture base.
        output: ``sights.manifest.json``.

    Raises:
        InputError: A prompt has no token, or more than the models read.
    """
    torch.set_num_threads(job.threads)
    prompts = job.value("evaluate.counterfactuals", list[Counterfactual])
    vocabulary = load_tokenizer(tokenizer)
    texts = [vocabulary.encode(prompt.prompt) for prompt in prompts]
    (preset,) = job.value("retrieve.presets", list[Preset])
    found = look_up(
        texts,
        load_encoder(base.encoder),
        Searcher(base.vectors, base.index),
        preset.query,
        job.value("retrieve.top_k", int),
    )
    asked = _asked(job, models)
    colours = _colour_tokens(vocabulary)
    values = picture_values(job, base, found)
    showable = Showable.among(len(values.stored), base.retracted)
    named = PicturesByName(base.pictures, showable.gone.tolist())
    entries = []
    for prompt, text, neighbours in zip(prompts, texts, found, strict=True):
        ids = np.where(neighbours.mask, neighbours.ids, -1).astype(np.int32)
        stand_in = named.of(prompt.instead)
        rows = list(exchanges(ids, neighbours.values, values, stand_in, showable, job.seed))
        tokens = [vocabulary.token_text(token) for token in text]
        labels = {"prompt": prompt.prompt, "instead": prompt.instead, "tokens": tokens}
        entries.append(labels | _seen(asked, text, rows, list(colours.values())))
    file = output.with_name("sights.json")
    write_json(file, {"words": list(colours), "prompts": entries})
    parents = [*models, tokenizer, *base.parents]
    job.finish(output, kind=KIND, rows=len(entries), files=[file], parents=parents)


def picture_values(job: Job, base: Base, found: Sequence[Neighbours]) -> PictureValues:
    """The stored values, and those of all retrieved pictures once they are recoloured."""
    stored = np.load(base.vectors.with_name("values.npy"), mmap_mode="r", allow_pickle=False)
    known = np.unique([int(i) for each in found for i in each.ids[each.mask]]).astype(np.int64)
    data = picture_bytes(base.pictures, known.tolist())
    images = [Image.open(io.BytesIO(data[number])) for number in known.tolist()]
    turned = {
        turn: embedded(job, base, [hue_turned(image, turn) for image in images])
        for turn in TURNS
        if images
    }
    return PictureValues(stored, turned, known)


def embedded(job: Job, base: Base, images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Values of pictures that are not in the base, as ``embed-pictures`` would have them: [n, V]."""
    features = None
    if base.raw:
        settings = job.settings("embed.features", Features)
        features = features_of(network_of(base.raw), images, settings)
    kind = ENCODERS.get(read_manifest(base.encoder).facts["encoder"])
    return kind.embed_images(load_encoder(base.encoder), images, features).values


def _asked(job: Job, models: Sequence[Path]) -> Sequence[Asked]:
    """The models that give a next word a probability."""
    variants = {each.name: each for each in job.value("models.variants", list[Variant])}
    found = []
    for path in models:
        network, info = load_model(path)
        if network.objective.causal:
            found.append(Asked(variants[info["variant"]], int(info["seed"]), network))
    return found


def _seen(
    asked: Sequence[Asked], text: list[int], rows: Sequence[Exchange], choices: Sequence[int]
) -> dict[str, Any]:
    """What all models make of a prompt: those that look, exchange by exchange, and the others."""
    looking = [each for each in asked if each.variant.takes_controls]
    plain = [each for each in asked if not each.variant.takes_controls]
    return {
        "attention": [
            _attention(each, look(reader_of(each.network, rows[0], each.variant.top_k), text))
            for each in looking
        ],
        "exchanges": [
            {
                "name": row.name,
                "turn": row.turn,
                "pictures": list(row.shown),
                "answers": [_answer(each, text, row, choices) for each in looking],
            }
            for row in rows
        ],
        "without": [_answer(each, text, None, choices) for each in plain],
    }


def _attention(asked: Asked, sight: Sight) -> dict[str, Any]:
    """Where a model looks at the last token: shares that sum to one."""
    seen = {"text": sight.text, "pictures": sight.pictures}
    labels = {"model": asked.variant.name, "seed": asked.seed}
    return labels | {
        name: [] if part is None else np.round(part[-1].astype(np.float64), DECIMALS).tolist()
        for name, part in seen.items()
    }


def _answer(
    asked: Asked, text: list[int], exchange: Exchange | None, choices: Sequence[int]
) -> dict[str, Any]:
    """The shares of the colour words among themselves, as the next word."""
    reader = Reader(asked.network, None, torch.empty(0, 0))
    if exchange is not None:
        reader = reader_of(asked.network, exchange, asked.variant.top_k)
    chosen = look(reader, text).next_word[list(choices)].astype(np.float64)
    shares = np.round(chosen / max(chosen.sum(), 1e-30), DECIMALS)
    return {"model": asked.variant.name, "seed": asked.seed, "shares": shares.tolist()}


def _colour_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """The colour words that are one token of the vocabulary when they follow others."""
    found = {word: tokenizer.encode(f" {word}") for word in COLOURS}
    return {word: tokens[0] for word, tokens in found.items() if len(tokens) == 1}
