"""What an encoder is: pictures become keys and values, token states become queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from valm.config.base import Settings
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.registry import Registry
from valm.embed.picture_form import PictureForm
from valm.errors import ConfigError

KIND = "encoder"


@dataclass(frozen=True)
class TokenStates:
    """The state of every token of some windows; each depends on its past only.

    Attributes:
        keys: Unit vectors that retrieve: near the keys of the pictures that the text speaks of.
        values: The same states in the space of picture values, for the text-state control.
    """

    keys: Float[Tensor, "windows tokens key_width"]
    values: Float[Tensor, "windows tokens value_width"]


class Encoder(Protocol):
    """A trained or loaded encoder.

    Attributes:
        key_width: Width of the vectors that are searched.
        value_width: Width of the vectors that the language model reads.
        context_tokens: Longest window that ``encode_tokens`` takes.
    """

    key_width: int
    value_width: int
    context_tokens: int

    def encode_tokens(self, ids: Int[Tensor, "windows tokens"]) -> TokenStates:
        """The state of every token; ids are the study's. Rows may be padded on the right."""
        ...


@runtime_checkable
class ClipEncoder(Encoder, Protocol):
    """An encoder that reads CLIP's ids, whatever numbers the study's vocabulary gives them."""

    def clip_ids(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """CLIP's ids of the study's."""
        ...


@runtime_checkable
class PixelEncoder(Encoder, Protocol):
    """An encoder that reads pixels, so that it embeds pictures that no study has listed.

    Attributes:
        pictures_per_batch: Pictures that it embeds at once.
    """

    pictures_per_batch: int

    def picture_form(self, maximum_megapixels: float) -> PictureForm:
        """What a picture is decoded to."""
        ...

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> PictureVectors:
        """Vectors of decoded pictures, uint8 [pictures, 3, side, side]."""
        ...

    def values_of(
        self, keys: NDArray[np.float16], norms: NDArray[np.float32]
    ) -> NDArray[np.float16]:
        """The values of pictures with these keys, [pictures, key_width], of these lengths before."""
        ...


@dataclass(frozen=True)
class Sources:
    """Manifests that an encoder may be made from.

    Attributes:
        pictures: The picture list.
        tokens: The token streams; only the training split may be read.
        tokenizer: The tokenizer.
        features: The picture features, for encoders that read them.
    """

    pictures: Path
    tokens: Path
    tokenizer: Path
    features: Path | None


@dataclass(frozen=True)
class PictureVectors:
    """Vectors of consecutive pictures, in the order of ids.

    Attributes:
        keys: float32 [pictures, key_width], what is searched, unit length.
        norms: float32 [pictures], the keys' lengths before they were made unit vectors.
        values: float32 [pictures, value_width], what the language model reads.
    """

    keys: NDArray[np.float32]
    norms: NDArray[np.float32]
    values: NDArray[np.float32]


class EncoderKind(ABC):
    """One kind of encoder; a module of ``valm.embed.encoders`` sets ``PLUGIN`` to an instance.

    Attributes:
        parameters: Model of the kind's own parameters.
    """

    parameters: ClassVar[type[Settings]]

    @abstractmethod
    def make(
        self, job: Job, params: Any, sources: Sources, folder: Path
    ) -> tuple[Sequence[Path], dict[str, Any]]:
        """Train or check an encoder; return the files written into ``folder`` and facts about it.

        The facts must state ``key_width``, ``value_width`` and ``context_tokens``.
        """

    @abstractmethod
    def load(self, folder: Path, facts: Mapping[str, Any]) -> Encoder:
        """Load what ``make`` wrote."""

    @abstractmethod
    def embed(
        self, encoder: Any, pictures: Path, features: Path | None, first_id: int
    ) -> Iterator[PictureVectors]:
        """Yield the vectors of all kept pictures from an id on, in order, in blocks."""

    @abstractmethod
    def embed_images(
        self,
        encoder: Any,
        images: Sequence[Image.Image],
        features: Float[NDArray[np.float32], "pictures features"] | None,
    ) -> PictureVectors:
        """Vectors of pictures that no list holds.

        Args:
            images: RGB, or RGBA as stored.
            features: Their features, for an encoder that reads them.
        """


ENCODERS: Registry[EncoderKind] = Registry("encoder", "valm.embed.encoders")


def encoder_params(name: str, params: Mapping[str, Any]) -> Settings:
    """Validate an encoder's own parameters.

    Raises:
        ConfigError: The encoder is not registered, or a parameter is wrong.
    """
    kind = ENCODERS.get(name)
    try:
        return kind.parameters.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"parameter {key!r} of encoder {name!r}: {first['msg']}",
            where="embed.encoder.params",
            cure=f"its parameters are: {', '.join(kind.parameters.model_fields)}",
        ) from error


def load_encoder(manifest: Path) -> Encoder:
    """Load the encoder that ``make-encoder`` wrote.

    Raises:
        InputError: The manifest is missing or of another kind.
    """
    facts = read_manifest(manifest, KIND).facts
    return ENCODERS.get(facts["encoder"]).load(manifest.parent, facts)
