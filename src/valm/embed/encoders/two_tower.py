"""An encoder trained here: pictures' features and tokens' states meet in one space of unit vectors.

The picture tower reads features of a packaged ImageNet network and the pixels' colours; the text
tower is open_clip's causal transformer over the study's own vocabulary. It is trained on what the
pictures are called and on the training text, so that the state of every token after a name
retrieves pictures of that name. It knows no more of the world than the study's inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from valm.config.base import Settings
from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.seeding import derive_seed
from valm.embed.clip_ids import CLIP_IDS
from valm.embed.encoder import EncoderKind, PictureVectors, Sources, TokenStates
from valm.embed.features.layout import NETWORK_WIDTH
from valm.embed.towers.inputs import TowerInputs
from valm.embed.towers.losses import PictureSets
from valm.embed.towers.networks import PictureTower, TextTower
from valm.embed.towers.picture_training import PictureTraining, train_picture_tower
from valm.embed.towers.retrieval_check import precision_after_mentions, states_of
from valm.embed.towers.text_training import (
    Targets,
    TextTraining,
    start_from_phrases,
    train_text_tower,
)
from valm.embed.towers.windows import SentenceMix, Sentences, sentences_of
from valm.embed.values import Scale, ValueForm, ValueSettings
from valm.errors import ConfigError
from valm.ingest.probes import COLOURS
from valm.ingest.vocabulary.tokenizer import load_tokenizer

WEIGHTS = "encoder.safetensors"


class Params(Settings):
    """Sizes and training of the two towers."""

    seed: int | None = Field(
        None, ge=0, description="Seed of the towers; null: the study's, as all else."
    )
    principal_components: int = Field(192, ge=2, description="Width of the reduced features.")
    hidden_width: int = Field(512, ge=2, description="Hidden width of the picture tower.")
    key_width: int = Field(192, ge=4, description="Width of keys and of the text tower.")
    text_layers: int = Field(3, ge=1, description="Blocks of the text tower.")
    context_tokens: int = Field(48, ge=2, description="Longest window of the text tower.")
    pictures: PictureTraining = Field(
        default_factory=PictureTraining, description="First stage: the picture tower."
    )
    text: TextTraining = Field(
        default_factory=TextTraining, description="Second stage: the text tower."
    )
    sentences: SentenceMix = Field(default_factory=SentenceMix, description="What it reads.")
    values: ValueSettings = Field(default_factory=ValueSettings, description="Form of the values.")


class Towers(nn.Module):
    """Both towers, as one thing to save and load."""

    def __init__(self, params: Params, inputs_width: int, vocabulary_size: int):
        super().__init__()
        self.picture = PictureTower(inputs_width, params.hidden_width, params.key_width)
        self.text = TextTower(
            vocabulary_size,
            params.context_tokens,
            params.text_layers,
            params.key_width,
            len(COLOURS),
        )


class TwoTowerEncoder:
    """The trained towers with all that turns their outputs into keys and values."""

    def __init__(self, params: Params, towers: Towers, inputs: TowerInputs, form: ValueForm,
                 picture_keys: Scale, text_keys: Scale):  # fmt: skip
        self.key_width, self.value_width = params.key_width, params.values.width
        self.context_tokens = params.context_tokens
        self.towers, self.inputs, self.form = towers.eval(), inputs, form
        self.picture_keys, self.text_keys = picture_keys, text_keys

    @torch.inference_mode()
    def encode_tokens(self, ids: Int[Tensor, "windows tokens"]) -> TokenStates:
        """The state of every token of some windows."""
        keys, log_shares = self.towers.text(ids)
        return TokenStates(keys, self.form.render(keys, self.text_keys, log_shares.exp()))

    @torch.inference_mode()
    def encode_features(self, features: Float[Tensor, "pictures features"]) -> PictureVectors:
        """Keys and values of pictures, from their features."""
        keys = self.towers.picture(self.inputs.reduced(features))
        values = self.form.render(keys, self.picture_keys, features[:, NETWORK_WIDTH:])
        return PictureVectors(keys.numpy(), np.ones(len(keys), np.float32), values.numpy())


class ClipTwoTowerEncoder(TwoTowerEncoder):
    """Towers that were trained on CLIP's vocabulary, so that a text's CLIP ids are known."""

    vocabulary: str

    def clip_ids(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """CLIP's ids of the study's."""
        found: NDArray[np.int64] = CLIP_IDS[self.vocabulary][ids]
        return found


class TwoTower(EncoderKind):
    """Trains, saves and loads the two towers."""

    parameters = Params

    def make(
        self, job: Job, params: Params, sources: Sources, folder: Path
    ) -> tuple[Sequence[Path], dict[str, Any]]:
        """Train both halves, measure retrieval on held-out sentences, save everything as tensors."""
        seed = job.seed if params.seed is None else params.seed
        torch.manual_seed(derive_seed(seed, "towers"))
        features = _read_features(sources.features)
        tokenizer = load_tokenizer(sources.tokenizer)
        sentences = sentences_of(sources, tokenizer, params.sentences)
        inputs = TowerInputs.of(features, params.principal_components)
        reduced, shares = inputs.reduced(features), features[:, NETWORK_WIDTH:]
        towers = Towers(params, reduced.shape[1], tokenizer.vocabulary_size)
        sets = PictureSets.of(sentences.members)
        phrases = train_picture_tower(towers.picture, reduced, sets, params.pictures, seed)
        start_from_phrases(towers.text, sentences.forms, phrases)
        targets = _targets(towers, reduced, shares, sets)
        curve = train_text_tower(
            towers.text, targets, sentences, params.sentences, params.text, seed
        )
        encoder = _finished(params, towers.eval(), inputs, shares, targets, sentences, seed)
        facts = {
            "key_width": params.key_width,
            "value_width": params.values.width,
            "context_tokens": params.context_tokens,
            "vocabulary": read_manifest(sources.tokenizer, "tokenizer").facts["kind"],
            "vocabulary_size": tokenizer.vocabulary_size,
            "inputs_width": reduced.shape[1],
            "parameters": sum(parameter.numel() for parameter in towers.parameters()),
            "phrases": len(sentences.forms),
            "training_documents": len(sentences.documents),
            "held_out_documents": len(sentences.held_out),
            "precision_at_4_after_mention": precision_after_mentions(
                encoder, targets.pictures, sentences
            ),
            "training_curve": curve,
        }
        with atomic_path(folder / WEIGHTS) as path:
            save_file(_tensors(encoder), path)
        return [folder / WEIGHTS], facts

    def load(self, folder: Path, facts: Mapping[str, Any]) -> TwoTowerEncoder:
        """Load the towers and the statistics around them."""
        params = Params.model_validate(facts["params"])
        tensors = load_file(folder / WEIGHTS)
        towers = Towers(params, facts["inputs_width"], facts["vocabulary_size"])
        prefix = "towers."
        towers.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
        form = ValueForm(
            tensors["form.embedding"], tensors["form.colours"], _scale(tensors, "form.scale"),
            params.values,
        )  # fmt: skip
        inputs = TowerInputs.from_tensors(tensors)
        parts = (inputs, form, _scale(tensors, "pictures"), _scale(tensors, "text"))
        if facts.get("vocabulary") not in CLIP_IDS:
            return TwoTowerEncoder(params, towers, *parts)
        encoder = ClipTwoTowerEncoder(params, towers, *parts)
        encoder.vocabulary = facts["vocabulary"]
        return encoder

    def embed(
        self, encoder: TwoTowerEncoder, pictures: Path, features: Path | None, first_id: int
    ) -> Iterator[PictureVectors]:
        """All remaining pictures in one block: the heavy part, their features, has been done."""
        rows = _read_features(features)[first_id:]
        if len(rows):
            yield encoder.encode_features(rows)

    def embed_images(
        self,
        encoder: TwoTowerEncoder,
        images: Sequence[Image.Image],
        features: Float[NDArray[np.float32], "pictures features"] | None,
    ) -> PictureVectors:
        """From their features, as in a list."""
        if features is None:
            raise ConfigError("the encoder 'two_tower' reads picture features")
        return encoder.encode_features(torch.from_numpy(features.astype(np.float32)))


def _read_features(manifest: Path | None) -> Float[Tensor, "pictures features"]:
    if manifest is None:
        raise ConfigError(
            "the encoder 'two_tower' reads picture features", cure="pass --features to the verb"
        )
    table = np.load(manifest.with_name("features.npy"), allow_pickle=False)
    return torch.from_numpy(table.astype(np.float32))


@torch.inference_mode()
def _targets(
    towers: Towers,
    reduced: Float[Tensor, "pictures inputs"],
    shares: Float[Tensor, "pictures colours"],
    sets: PictureSets,
) -> Targets:
    """What the text tower learns to point at: the finished picture tower's vectors."""
    pictures = towers.picture(reduced)
    return Targets(pictures.clone(), sets.means(pictures), sets.means(shares))


@torch.inference_mode()
def _finished(
    params: Params,
    towers: Towers,
    inputs: TowerInputs,
    shares: Float[Tensor, "pictures colours"],
    targets: Targets,
    sentences: Sentences,
    seed: int,
) -> TwoTowerEncoder:
    """The encoder with the statistics that values are standardised by."""
    form = ValueForm.of(params.key_width, shares, params.values, seed)
    picture_keys = Scale.of(targets.pictures, params.values.standardise)
    text_keys = Scale.of(states_of(towers.text, sentences), params.values.standardise)
    return TwoTowerEncoder(params, towers, inputs, form, picture_keys, text_keys)


def _tensors(encoder: TwoTowerEncoder) -> dict[str, Tensor]:
    scales = {"form.scale": encoder.form.colour_scale, "pictures": encoder.picture_keys,
              "text": encoder.text_keys}  # fmt: skip
    parts = {f"towers.{name}": value for name, value in encoder.towers.state_dict().items()}
    parts |= {"form.embedding": encoder.form.embedding, "form.colours": encoder.form.colours}
    for name, scale in scales.items():
        parts |= {f"{name}.mean": scale.mean, f"{name}.deviation": scale.deviation}
    return {k: v.contiguous().clone() for k, v in (parts | encoder.inputs.tensors()).items()}


def _scale(tensors: Mapping[str, Tensor], name: str) -> Scale:
    return Scale(tensors[f"{name}.mean"], tensors[f"{name}.deviation"])


PLUGIN = TwoTower()
