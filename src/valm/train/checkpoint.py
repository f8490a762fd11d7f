"""Checkpoints that a killed training goes on from, and the finished model's files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
from pytorch_lightning.plugins.io import CheckpointIO

from valm.core.atomic import atomic_path, write_json
from valm.core.logs import logger
from valm.core.manifest import read_manifest, verify_files
from valm.errors import IntegrityError
from valm.models.fusion import make_fusion
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.train.state_files import load_state, save_state

KIND = "model"
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
CHECKPOINTS_KEPT = 2


class PlainCheckpoints(CheckpointIO):
    """Lightning's checkpoints as plain files: no pickle is written or read."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint whole or not at all."""
        save_state(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            IntegrityError: It is damaged.
        """
        return load_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        shutil.rmtree(path, ignore_errors=True)


def checkpoint_folder(root: Path, step: int) -> Path:
    """Where the checkpoint after so many steps lies."""
    return root / f"step-{step:08d}"


def newest_checkpoint(root: Path) -> Path | None:
    """The newest checkpoint that is whole; each damaged one before it is told of and left out."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            load_state(folder)
        except IntegrityError as error:
            logger.warning("a damaged checkpoint is left out, the one before is taken: %s", error)
        else:
            return folder
    return None


def drop_old_checkpoints(root: Path) -> None:
    """Keep the newest two: should the newest be damaged, there is one before."""
    for folder in sorted(root.glob("step-*"))[:-CHECKPOINTS_KEPT]:
        shutil.rmtree(folder)


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
    )
    model.load_state_dict(safetensors.torch.load_file(manifest.parent / WEIGHTS))
    return model.eval(), info
