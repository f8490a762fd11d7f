"""Settings of embed: the encoder of pictures and token states."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from valm.config.base import Plugin, Settings


class Features(Settings):
    """What a packaged ImageNet network and the pixels say of each picture."""

    side_pixels: int = Field(
        160, ge=32, le=1024, description="Side that pictures are padded and scaled to."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Type that the network computes in; features are kept as float16."
    )


class Embed(Settings):
    """The encoder of pictures and token states, and the vectors it gives."""

    features: Features = Field(
        default_factory=Features, description="Picture features, for encoders that need them."
    )
    encoder: Plugin = Field(
        Plugin(name="two_tower"),
        description="'two_tower' is trained here; 'open_clip' loads a model and checkpoint;"
        " 'classifier' takes a classification network's features.",
    )
