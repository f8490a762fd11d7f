"""Pictures as a classification network sees them: pooled features of a ResNet, an EfficientNet ...

Keys and values of a picture are the network's pooled features (VALM.md 10). No text tower was trained
with such a network, so one is trained here, on what the pictures are called and on the training text: its
last map projects the state of every token after a name to the features of pictures of that name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.nn import functional

from valm.config.base import Settings
from valm.core.atomic import atomic_path
from valm.core.hub import Published, first_line
from valm.core.job import Job
from valm.core.registry import did_you_mean
from valm.core.seeding import derive_seed
from valm.embed.batches import batches
from valm.embed.encoder import EncoderKind, PictureVectors, Sources, TokenStates
from valm.embed.towers.losses import PictureSets
from valm.embed.towers.networks import TextTower
from valm.embed.towers.text_training import Targets, TextTraining, train_text_tower
from valm.embed.towers.windows import SentenceMix, sentences_of
from valm.errors import ConfigError, InputError
from valm.ingest.pictures.decoding import on_white
from valm.ingest.pictures.numbering import iterate_pictures
from valm.ingest.vocabulary.tokenizer import load_tokenizer

WEIGHTS = "encoder.safetensors"
WHERE = "embed.encoder.params"
ONE_COLOUR = 1  # the text tower's head for colours has nothing to tell


class Params(Settings):
    """Which network, and the text tower that is trained to find its features."""

    model: str = Field("resnet50", description="timm's name of the network.")
    checkpoint: str | None = Field(
        None,
        description="Folder in timm's layout (config.json, model.safetensors), or id of the Hugging Face"
        " hub; null: random weights, for trying.",
    )
    revision: str | None = Field(None, description="Commit, tag or branch of a hub id.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Of the checkpoint's weights."
    )
    pictures_per_batch: int = Field(32, ge=1, description="Pictures embedded at once.")
    text_width: int = Field(192, ge=4, description="Width of the text tower.")
    text_layers: int = Field(3, ge=1, description="Blocks of the text tower.")
    context_tokens: int = Field(48, ge=2, description="Longest window of the text tower.")
    text: TextTraining = Field(default_factory=TextTraining, description="Its training.")
    sentences: SentenceMix = Field(default_factory=SentenceMix, description="What it reads.")

    @model_validator(mode="after")
    def _weights_are_pinned(self) -> Params:
        if self.checkpoint is not None and self.sha256 is None:
            raise ValueError("a checkpoint is stated with the sha256 of its weights")
        return self


class ClassifierEncoder:
    """A network without its classes, and the text tower that points at its features."""

    def __init__(self, params: Params, network: Any, tower: TextTower):
        self.params = params
        self.network = network.eval().requires_grad_(False)
        self.tower = tower.eval().requires_grad_(False)
        self.key_width = self.value_width = int(network.num_features)
        self.context_tokens = params.context_tokens
        self._as_input = _transform(network)

    @torch.inference_mode()
    def encode_tokens(self, ids: Int[Tensor, "windows tokens"]) -> TokenStates:
        """The state of every token of some windows, among the pictures' features."""
        keys, _ = self.tower(ids)
        return TokenStates(keys, keys)

    @torch.inference_mode()
    def encode_pictures(self, pictures: Sequence[Any]) -> PictureVectors:
        """Vectors of RGB pictures (PIL images)."""
        device = next(self.network.parameters()).device
        inputs = torch.stack([self._as_input(picture) for picture in pictures]).to(device)
        pooled: Float[Tensor, "pictures features"] = self.network(inputs).float().cpu()
        keys = functional.normalize(pooled, dim=-1).numpy()
        return PictureVectors(keys, pooled.norm(dim=-1).numpy(), keys)

    def vectors(self, pictures: Path, first_id: int = 0) -> Iterator[PictureVectors]:
        """Of all kept pictures from an id on, in order, batch by batch."""
        stream = (picture for _, picture in iterate_pictures(pictures, first_id))
        for batch in batches(stream, self.params.pictures_per_batch):
            yield self.encode_pictures(batch)


class Classifier(EncoderKind):
    """Takes a network over and trains the text tower."""

    parameters = Params

    def make(
        self, job: Job, params: Params, sources: Sources, folder: Path
    ) -> tuple[Sequence[Path], dict[str, Any]]:
        """Load the network, embed all pictures once, and train the text tower towards them.

        Raises:
            ConfigError: timm does not know the network, or the checkpoint is another one's.
            SourceError: The checkpoint cannot be had.
            InputError: It is malformed, or its tensors are another network's.
            IntegrityError: Its weights are others than those stated.
        """
        torch.manual_seed(derive_seed(job.seed, "classifier"))
        network = _network(params)
        tokenizer = load_tokenizer(sources.tokenizer)
        tower = _tower(params, tokenizer.vocabulary_size, int(network.num_features))
        encoder = ClassifierEncoder(params, network, tower)
        keys = torch.from_numpy(
            np.concatenate([block.keys for block in encoder.vectors(sources.pictures)])
        )
        sentences = sentences_of(sources, tokenizer, params.sentences)
        sets = PictureSets.of(sentences.members)
        targets = Targets(keys, sets.means(keys), torch.ones(sets.count, ONE_COLOUR))
        tower.requires_grad_(True).train()
        curve = train_text_tower(tower, targets, sentences, params.sentences, params.text, job.seed)
        tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
        tensors |= {f"tower.{name}": value for name, value in tower.state_dict().items()}
        with atomic_path(folder / WEIGHTS) as path:
            save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, path)
        return [folder / WEIGHTS], {
            "key_width": encoder.key_width,
            "value_width": encoder.value_width,
            "context_tokens": encoder.context_tokens,
            "vocabulary_size": tokenizer.vocabulary_size,
            "parameters": sum(value.numel() for value in tensors.values()),
            "phrases": len(sentences.forms),
            "training_curve": curve,
        }

    def load(self, folder: Path, facts: Mapping[str, Any]) -> ClassifierEncoder:
        """Load both; the network runs on a GPU if there is one."""
        params = Params.model_validate(facts["params"])
        tensors = load_file(folder / WEIGHTS)
        network = timm.create_model(params.model, pretrained=False, num_classes=0)
        tower = _tower(params, facts["vocabulary_size"], facts["key_width"])
        for name, module in (("network.", network), ("tower.", tower)):
            module.load_state_dict(
                {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}
            )
        if torch.cuda.is_available():
            network.cuda()
        return ClassifierEncoder(params, network, tower)

    def embed(
        self, encoder: ClassifierEncoder, pictures: Path, features: Path | None, first_id: int
    ) -> Iterator[PictureVectors]:
        """The remaining pictures, batch by batch."""
        return encoder.vectors(pictures, first_id)

    def embed_images(
        self,
        encoder: ClassifierEncoder,
        images: Sequence[Image.Image],
        features: Float[NDArray[np.float32], "pictures features"] | None,
    ) -> PictureVectors:
        """Embed them at once, transparency laid on white as in a list."""
        return encoder.encode_pictures([on_white(image) for image in images])


def _transform(network: nn.Module) -> Any:
    stated: Any = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    return create_transform(**stated, is_training=False)


def _tower(params: Params, vocabulary_size: int, features: int) -> TextTower:
    return TextTower(
        vocabulary_size,
        params.context_tokens,
        params.text_layers,
        params.text_width,
        ONE_COLOUR,
        features,
    )


def _network(params: Params) -> Any:
    """The network without its classes, with a checkpoint's weights or random ones."""
    if not timm.is_model(params.model):
        raise ConfigError(
            f"timm has no network {params.model!r}",
            where=f"{WHERE}.model",
            cure=did_you_mean(params.model, timm.list_models()),
        )
    if params.checkpoint is None:
        return timm.create_model(params.model, pretrained=False, num_classes=0)
    folder = Published(params.checkpoint, params.revision, params.sha256).folder
    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        architecture, classes = str(stated["architecture"]), int(stated["num_classes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"no config.json in timm's layout: {first_line(error)}", where=folder
        ) from error
    if architecture != params.model:
        raise ConfigError(
            f"the checkpoint is of the network {architecture!r}, the study names {params.model!r}",
            where=f"{WHERE}.model",
            cure=f"set it to {architecture}",
        )
    network: Any = timm.create_model(params.model, pretrained=False, num_classes=classes)
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(f"unfit weights: {first_line(error)}", where=folder) from error
    network.reset_classifier(0)
    return network


PLUGIN = Classifier()
