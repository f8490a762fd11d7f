"""What an encoder that is given will cost: its widths and its work, from its name, without its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from valm.config.base import Plugin


@dataclass(frozen=True)
class EncoderCost:
    """Widths, and floating-point operations of matrix products and convolutions.

    Attributes:
        width: Of keys and of values.
        per_picture: Operations for a picture.
        per_token: Operations for a token of a text that fills the context.
    """

    width: int
    per_picture: float
    per_token: float


def encoder_cost(encoder: Plugin) -> EncoderCost | None:
    """The cost of an open_clip model; None for an encoder that the study trains itself."""
    if encoder.name != "open_clip":
        return None
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
    return EncoderCost(int(config["embed_dim"]), counts[0], counts[1] / context)
