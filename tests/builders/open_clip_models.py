"""Tiny random open_clip models with CLIP's vocabulary, their checkpoints, and jobs that use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import nn

from valm.core.digest import sha256_file
from valm.core.job import Job
from valm.core.manifest import write_manifest

NAME = "tiny-clip"
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def tiny_model(folder: Path, **text: Any) -> tuple[nn.Module, Path]:
    """A random model and the JSON file that describes it; ``text`` changes its text tower."""
    config = CONFIG | {"text_cfg": CONFIG["text_cfg"] | text}  # type: ignore[operator]
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    torch.manual_seed(0)
    return open_clip.create_model(NAME, pretrained=None), path


def parameters(config: Path, checkpoint: Path, **over: Any) -> dict[str, Any]:
    """The encoder's parameters for a model file and a checkpoint."""
    stated = {"model": NAME, "model_config_file": str(config), "checkpoint": str(checkpoint)}
    return stated | {"sha256": sha256_file(checkpoint)} | over


def saved(model: nn.Module, path: Path) -> Path:
    """Save a model's weights as safetensors."""
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)
    return path


def encoder_job(params: dict[str, Any]) -> Job:
    """A job of ``make-encoder`` that names an open_clip encoder."""
    section = {"embed.encoder": {"name": "open_clip", "params": params}, "seed": 1}
    return Job("make-encoder", section, "c0de")


def manifest_of(folder: Path, artifact: str, **facts: Any) -> Path:
    """An input's manifest without files."""
    path = folder / f"{artifact}.manifest.json"
    write_manifest(
        path, kind=artifact, rows=1, files=[], producer="test", config_digest="", code_digest="",
        facts=facts,
    )  # fmt: skip
    return path
