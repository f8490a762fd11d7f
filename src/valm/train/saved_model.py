"""A finished model's files; apart from training, so that who only asks a model loads no trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch

from valm.core.atomic import atomic_path, write_json
from valm.core.manifest import read_manifest, verify_files
from valm.errors import InputError
from valm.models.fusion import make_fusion
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig

KIND = "model"
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def save_model(folder: Path, model: LanguageModel, description: dict[str, Any]) -> list[Path]:
    """Write weights (float32) and a description from which the model is made again.

    Args:
        description: Free facts; the sizes that ``load_model`` needs are added.
    """
    weights = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as part:
        safetensors.torch.save_file(weights, part)
    write_json(folder / DESCRIPTION, description | {"model": model.description()})
    return [folder / WEIGHTS, folder / DESCRIPTION]


def check_fits(manifest: Path, vocabulary_size: int, value_width: int | None = None) -> None:
    """Refuse a model of another vocabulary or other vectors, from its description alone.

    Args:
        manifest: The model's.
        vocabulary_size: Of the tokens that it will read.
        value_width: Of the picture vectors that it will be given; None: of none.

    Raises:
        InputError: Naming both sizes.
    """
    read_manifest(manifest, KIND)
    sizes = json.loads((manifest.parent / DESCRIPTION).read_text(encoding="utf-8"))["model"]
    pairs = [("token ids", sizes["vocabulary_size"], vocabulary_size)]
    if value_width is not None and sizes["value_width"]:
        pairs.append(("values of a picture", sizes["value_width"], value_width))
    for what, known, given in pairs:
        if known != given:
            raise InputError(
                f"the model knows {known:,} {what}, it is given {given:,}",
                where=manifest,
                cure="name the model and the inputs of one study, or run the study again",
            )


def load_model(manifest: Path) -> tuple[LanguageModel, dict[str, Any]]:
    """A finished model, in evaluation mode on the CPU, and what ``model.json`` says of it.

    Raises:
        InputError: The manifest is missing or of another kind.
        IntegrityError: A file differs from the manifest.
    """
    read_manifest(manifest, KIND)
    verify_files(manifest)
    info: dict[str, Any] = json.loads((manifest.parent / DESCRIPTION).read_text(encoding="utf-8"))
    sizes = info["model"]
    model = LanguageModel(
        TrunkConfig(**sizes["trunk"]),
        make_fusion(sizes["fusion"]["name"], sizes["fusion"]["params"]),
        sizes["vocabulary_size"],
        sizes["value_width"],
        sizes.get("objective", "causal_lm"),
    )
    model.load_state_dict(safetensors.torch.load_file(manifest.parent / WEIGHTS))
    return model.eval(), info
