"""What an encoder will be: its widths and, of one that is given, its work; without its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from valm.config.base import Plugin
from valm.embed.encoder import encoder_params


@dataclass(frozen=True)
class EncoderCost:
    """Widths, and floating-point operations of matrix products and convolutions.

    Attributes:
        key_width: Of keys.
        value_width: Of values.
        per_picture: Operations for a picture; None: not counted.
        per_token: Operations for a token of a text that fills the context; None: not counted.
    """

    key_width: int
    value_width: int
    per_picture: float | None = None
    per_token: float | None = None


def encoder_cost(encoder: Plugin) -> EncoderCost | None:
    """The cost of an encoder; None for one of which only making it will tell.

    Raises:
        ConfigError: A parameter is wrong.
    """
    if encoder.name == "two_tower":
        params = encoder_params(encoder.name, encoder.params)
        return EncoderCost(params.key_width, params.values.width)  # type: ignore[attr-defined]
    return _open_clip_cost(encoder) if encoder.name == "open_clip" else None


def _open_clip_cost(encoder: Plugin) -> EncoderCost:
    """Counted on a model that holds no numbers: a picture, and a text that fills the context."""
    import open_clip
    from torch.utils.flop_counter import FlopCounterMode

    from valm.embed.encoders.open_clip import Params, model_config

    params = Params.model_validate(encoder.params)
    config: Mapping[str, Any] = model_config(params)
    context = int(config["text_cfg"]["context_length"])
    logging.disable(logging.WARNING)  # open_clip's, that there are no weights: none are wanted
    try:
        with torch.device("meta"):
            model: Any = open_clip.create_model(params.model, pretrained=None, device="meta").eval()
    finally:
        logging.disable(logging.NOTSET)
    with torch.device("meta"), torch.no_grad():
        side = model.visual.image_size
        shape = (1, 3, *(side if isinstance(side, tuple) else (side, side)))
        counts = []
        for encode, inputs in (
            (model.encode_image, torch.zeros(shape)),
            (model.encode_text, torch.zeros(1, context, dtype=torch.long)),
        ):
            with FlopCounterMode(display=False) as counter:
                encode(inputs)
            counts.append(float(counter.get_total_flops()))
    width = int(config["embed_dim"])
    return EncoderCost(width, width, counts[0], counts[1] / context)
