"""An encoder that is given: any open_clip model, by its name and a checkpoint file with its sha256.

The paper's is RN50x16 (VALM.md 3.1): each token's state goes through the text transformer, its last
layer norm and the text projection, at all positions and not only at the end of text, on which CLIP
was trained. A state depends on its past only, so the end of text and the filling that CLIP puts behind a
text change no state and are left out; the start of text takes the first of the model's positions.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import open_clip
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from open_clip.factory import load_state_dict
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from valm.config.base import Settings
from valm.core.atomic import atomic_path, write_json
from valm.core.digest import sha256_file
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.registry import did_you_mean
from valm.embed.batches import batches
from valm.embed.clip_ids import CLIP_IDS, END_OF_TEXT, START_OF_TEXT
from valm.embed.encoder import EncoderKind, PictureVectors, Sources, TokenStates
from valm.embed.picture_form import PictureForm
from valm.embed.tower_pass import TextPass, picture_vectors
from valm.errors import ConfigError, InputError, IntegrityError
from valm.ingest.pictures.decoding import on_white
from valm.ingest.pictures.numbering import iterate_pictures

# open_clip's own layout of a model's folder, which it reads back under the name "local-dir:".
WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"
WHERE = "embed.encoder.params"
# What torch and safetensors raise on damaged files, on pickles with more than tensors (which run
# no code under weights_only), and on tensors of another model.
UNFIT = (
    pickle.UnpicklingError, RuntimeError, SafetensorError, EOFError, AttributeError, StopIteration,
)  # fmt: skip


class Params(Settings):
    """Which model, and which of its outputs are kept."""

    model: str = Field(
        "RN50x16-quickgelu",
        description="open_clip's name of the model; OpenAI's weights need the -quickgelu ones.",
    )
    model_config_file: str | None = Field(
        None, description="JSON file of a model that open_clip does not ship; its stem is the name."
    )
    checkpoint: str = Field(description="File of the weights: .safetensors, or a .pt state dict.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="The checkpoint's sha256.")
    normalise: bool = Field(
        True, description="Values of unit length; the official scripts leave them as they are."
    )
    pictures_per_batch: int = Field(32, ge=1, description="Pictures embedded at once.")
    text_precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Type that the text tower computes in; weights stay as they are."
    )


class OpenClipEncoder:
    """A frozen open_clip model.

    Args:
        model: The model.
        params: The encoder's parameters.
        vocabulary: Kind of the study's vocabulary: ``clip`` or ``clip_fairseq``.
    """

    def __init__(self, model: Any, params: Params, vocabulary: str = "clip"):
        self.model, self.params = model.eval().requires_grad_(False), params
        # CLIP keeps its text transformer's parts itself, CustomTextCLIP in a module of its own.
        text: Any = getattr(model, "text", model)
        self.key_width = self.value_width = int(text.text_projection.shape[1])
        self.pictures_per_batch = params.pictures_per_batch
        self._device = text.text_projection.device
        self._text = TextPass(text, getattr(torch, params.text_precision))
        self.context_tokens = len(text.positional_embedding) - 1
        self._clip_ids: NDArray[np.int64] = CLIP_IDS[vocabulary]
        preprocess = open_clip.get_model_preprocess_cfg(model)
        self._as_input = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)
        self._preprocess = preprocess

    @torch.inference_mode()
    def encode_tokens(self, ids: Int[Tensor, "windows tokens"]) -> TokenStates:
        """The projected state of every token of texts without start of text."""
        start = ids.new_full((len(ids), 1), START_OF_TEXT)
        known = torch.from_numpy(self._clip_ids)[ids]
        windows = torch.cat([start, known], dim=1).to(self._device)
        projected = self._text.projected(windows)[:, 1:].float()
        keys = functional.normalize(projected, dim=-1)
        return TokenStates(keys, keys if self.params.normalise else projected)

    def clip_ids(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """CLIP's ids of the study's."""
        found: NDArray[np.int64] = self._clip_ids[ids]
        return found

    def picture_form(self, maximum_megapixels: float) -> PictureForm:
        """What decoding processes make of a picture, for ``encode_pixels``.

        Raises:
            ConfigError: The model reads pictures in another way.
        """
        size, mode = self.model.visual.image_size, self._preprocess.get("resize_mode", "shortest")
        sides = set(size) if isinstance(size, tuple | list) else {size}
        if len(sides) > 1 or mode not in ("shortest", "squash"):
            raise ConfigError(
                f"the model reads pictures of {size}, resized by {mode!r}; squares are decoded here",
                where=f"{WHERE}.model",
                cure="choose a model whose resize_mode is 'shortest' or 'squash'",
            )
        bilinear = self._preprocess.get("interpolation") == "bilinear"
        return PictureForm(sides.pop(), mode == "squash", bilinear, maximum_megapixels)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> PictureVectors:
        """Vectors of pictures in the form of ``picture_form``, uint8 [pictures, 3, side, side]."""
        mean, deviation = (
            torch.tensor(self._preprocess[name])[:, None, None] for name in ("mean", "std")
        )
        return self._vectors(torch.from_numpy(pixels).float().div_(255).sub_(mean).div_(deviation))

    def values_of(
        self, keys: NDArray[np.float16], norms: NDArray[np.float32]
    ) -> NDArray[np.float16]:
        """The keys again, or the vectors as the model gave them."""
        if self.params.normalise:
            return keys
        scaled: NDArray[np.float32] = keys * norms[:, None]
        return scaled.astype(np.float16)

    def encode_pictures(self, pictures: Sequence[Any]) -> PictureVectors:
        """Vectors of RGB pictures (PIL images)."""
        return self._vectors(torch.stack([self._as_input(picture) for picture in pictures]))

    @torch.inference_mode()
    def _vectors(self, inputs: Float[Tensor, "pictures 3 side side"]) -> PictureVectors:
        vectors = picture_vectors(self.model, inputs.to(self._device)).float().cpu()
        keys = functional.normalize(vectors, dim=-1)
        values = keys if self.params.normalise else vectors
        return PictureVectors(keys.numpy(), vectors.norm(dim=-1).numpy(), values.numpy())


class OpenClip(EncoderKind):
    """Takes over a model and its checkpoint."""

    parameters = Params

    def make(
        self, job: Job, params: Params, sources: Sources, folder: Path
    ) -> tuple[Sequence[Path], dict[str, Any]]:
        """Verify the checkpoint, load it safely, and keep it as tensors with the model's config.

        Raises:
            ConfigError: The model is unknown, is not causal, or has another vocabulary.
            InputError: The checkpoint is missing, unsafe, or another model's.
            IntegrityError: Its bytes differ from the sha256.
        """
        config = model_config(params)
        model = _new_model(params)
        text = getattr(model, "text", model)
        vocabulary = read_manifest(sources.tokenizer, "tokenizer").facts
        _check_text(text, config, vocabulary, params)
        _load_checkpoint(model, params)
        with atomic_path(folder / WEIGHTS) as path:
            save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)
        preprocess = open_clip.get_model_preprocess_cfg(model)
        write_json(folder / CONFIG, {"model_cfg": config, "preprocess_cfg": preprocess})
        encoder = OpenClipEncoder(model, params)
        return [folder / WEIGHTS, folder / CONFIG], {
            "key_width": encoder.key_width,
            "value_width": encoder.value_width,
            "context_tokens": encoder.context_tokens,
            "vocabulary": vocabulary["kind"],
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }

    def load(self, folder: Path, facts: Mapping[str, Any]) -> OpenClipEncoder:
        """Load the model from open_clip's own layout; tensors only, nothing is fetched."""
        params = Params.model_validate(facts["params"])
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = open_clip.create_model(f"local-dir:{folder}", device=device)
        return OpenClipEncoder(model, params, facts["vocabulary"])

    def embed(
        self, encoder: OpenClipEncoder, pictures: Path, features: Path | None, first_id: int
    ) -> Iterator[PictureVectors]:
        """Decode and embed the remaining pictures, batch by batch."""
        stream = (picture for _, picture in iterate_pictures(pictures, first_id))
        for batch in batches(stream, encoder.pictures_per_batch):
            yield encoder.encode_pictures(batch)

    def embed_images(
        self,
        encoder: OpenClipEncoder,
        images: Sequence[Image.Image],
        features: Float[NDArray[np.float32], "pictures features"] | None,
    ) -> PictureVectors:
        """Embed them at once, transparency laid on white as in a list."""
        return encoder.encode_pictures([on_white(image) for image in images])


def model_config(params: Params) -> dict[str, Any]:
    """The named model's configuration.

    Raises:
        ConfigError: open_clip does not know it, or parts of it would be fetched from a hub.
    """
    if params.model_config_file is not None:
        if not Path(params.model_config_file).is_file():
            raise ConfigError(f"there is no file {params.model_config_file!r}", where=WHERE)
        open_clip.add_model_config(params.model_config_file)
    known = open_clip.list_models()
    if params.model not in known:
        raise ConfigError(
            f"open_clip has no model {params.model!r}",
            where=f"{WHERE}.model",
            cure=did_you_mean(params.model, known),
        )
    config: dict[str, Any] = open_clip.get_model_config(params.model)
    if "hf_model_name" in config["text_cfg"]:
        raise ConfigError(
            f"the text tower of {params.model!r} comes from a hub and is not causal",
            where=f"{WHERE}.model",
            cure="choose a model with open_clip's own text transformer",
        )
    return config


def _new_model(params: Params) -> nn.Module:
    model: nn.Module = open_clip.create_model(params.model, pretrained=None, pretrained_text=False)
    return model


def _check_text(
    text: Any, config: Mapping[str, Any], tokenizer: Mapping[str, Any], params: Params
) -> None:
    """The model must read the study's ids, strictly from left to right."""
    if tokenizer["kind"] not in CLIP_IDS:
        raise ConfigError(
            f"open_clip models read CLIP's vocabulary, not {tokenizer['kind']!r}",
            where="ingest.tokenizer.kind",
            cure="set ingest.tokenizer.kind to clip or clip_fairseq",
        )
    if text.token_embedding.num_embeddings <= END_OF_TEXT:
        raise ConfigError(f"{params.model!r} has another vocabulary than CLIP's", where=WHERE)
    extra = config["text_cfg"].get("embed_cls", False)
    if text.attn_mask is None or extra or not isinstance(text.text_projection, Tensor):
        raise ConfigError(
            f"the text tower of {params.model!r} has no causal state with a projection at all"
            " positions",
            where=f"{WHERE}.model",
            cure="choose a model of CLIP's kind",
        )


def _load_checkpoint(model: nn.Module, params: Params) -> None:
    """Load the weights without running code of the file."""
    path = Path(params.checkpoint)
    if not path.is_file():
        raise InputError(
            "the checkpoint is missing", where=path, cure=f"correct {WHERE}.checkpoint"
        )
    found = sha256_file(path)
    if found != params.sha256:
        raise IntegrityError(
            f"the checkpoint has sha256 {found}, the configuration states {params.sha256}",
            where=path,
            cure="fetch it again, or correct the configuration",
        )
    cure = "save its state dict, of the model named, as .safetensors"
    if path.suffix not in (".safetensors", ".pt", ".pth", ".bin"):
        raise InputError(f"weights of the kind {path.suffix!r} are not read", where=path, cure=cure)
    try:
        # Not open_clip.load_checkpoint: it stretches positions of another length in silence.
        model.load_state_dict(load_state_dict(str(path), weights_only=True), strict=True)
    except UNFIT as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"unsafe or unfit weights: {reason}", where=path, cure=cure) from error


PLUGIN = OpenClip()
