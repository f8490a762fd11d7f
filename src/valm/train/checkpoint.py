"""Checkpoints that a killed training goes on from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import CheckpointIO

from valm.core.logs import logger
from valm.errors import IntegrityError
from valm.train.state_files import load_state, save_state

CHECKPOINTS = "checkpoints"  # in the work folder
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


def step_of(checkpoint: Path) -> int:
    """After how many steps a checkpoint was saved."""
    return int(checkpoint.name.removeprefix("step-"))


def checkpoints_of(root: Path) -> list[Path]:
    """All checkpoints, the oldest first; no damaged one is left out."""
    return sorted(root.glob("step-*"))


def newest_checkpoint(root: Path) -> Path | None:
    """The newest checkpoint that is whole; each damaged one before it is told of and left out."""
    for folder in reversed(checkpoints_of(root)):
        try:
            load_state(folder)
        except IntegrityError as error:
            logger.warning("a damaged checkpoint is left out, the one before is taken: %s", error)
        else:
            return folder
    return None


def drop_old_checkpoints(root: Path) -> None:
    """Keep the newest two: should the newest be damaged, there is one before."""
    for folder in checkpoints_of(root)[:-CHECKPOINTS_KEPT]:
        shutil.rmtree(folder)
