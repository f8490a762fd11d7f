"""Tar shards of photos as img2dataset writes them, and an encoder that embeds them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from builders.open_clip_models import encoder_job, manifest_of, parameters, saved, tiny_model
from PIL import Image

from valm.embed.encoder import Sources
from valm.embed.make import make_encoder


def photo(number: int, width: int = 90, height: int = 70) -> bytes:
    """A smooth JPEG whose colours depend on a number."""
    grid = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """A tar with these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def open_clip_encoder(folder: Path, **over: object) -> Path:
    """The manifest of a tiny random CLIP, as ``make-encoder`` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    model, config = tiny_model(folder)
    checkpoint = saved(model, folder / "weights.safetensors")
    inputs = Sources(
        manifest_of(folder, "picture_list"),
        manifest_of(folder, "tokens"),
        manifest_of(folder, "tokenizer", kind="clip"),
        None,
    )
    output = folder / "encoder.manifest.json"
    make_encoder(
        encoder_job(parameters(config, checkpoint, **over)),
        pictures=inputs.pictures, tokens=inputs.tokens, tokenizer=inputs.tokenizer, features=None,
        output=output,
    )  # fmt: skip
    return output
