"""A training from its newest checkpoint to its last step: state in the work folder, Lightning around."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException

from valm.config.phases import Train
from valm.core.logs import logger
from valm.core.progress import Tracker
from valm.core.seeding import derive_seed
from valm.train.checkpoint import CHECKPOINTS, PlainCheckpoints, newest_checkpoint, step_of
from valm.train.curves import open_curves
from valm.train.metrics import HISTORY, forget_after, read_lines
from valm.train.recorder import Recorder
from valm.train.training import Training

TERMINATED = 128 + 15  # what a shell reports of a process that SIGTERM ended


def run_training(training: Training, what: str, work: Path, shown: Path) -> float:
    """Train to the last step; returns the last validation loss.

    State in ``work``: checkpoints, the history, ``progress.json``; curves in ``shown``.
    """
    settings = training.settings
    torch.manual_seed(derive_seed(training.seed, "dropout"))
    checkpoint = newest_checkpoint(work / CHECKPOINTS)
    done = step_of(checkpoint) if checkpoint else 0
    forget_after(work / HISTORY, done)
    if done:
        logger.info("%s: going on from step %s of %s", what, done, settings.steps)
    per_step = settings.sequences_per_step * training.model.trunk.config.context_tokens
    history, progress = work / HISTORY, work / "progress.json"
    logger.info("%s: watch %s, or tensorboard --logdir %s", what, progress, shown)
    facts = settings.model_dump(mode="json")
    with (
        Tracker(what, settings.steps * per_step, "tokens", progress, done * per_step) as tracker,
        open_curves(shown, settings.tracking, what, facts, read_lines(history)) as curves,
    ):
        recorder = Recorder(tracker, history, curves, work / CHECKPOINTS, per_step)
        try:
            make_trainer(settings, recorder, work).fit(training, ckpt_path=checkpoint)
        except SIGTERMException as error:
            logger.warning("%s: stopped by SIGTERM; run it again to go on", what)
            raise SystemExit(TERMINATED) from error
    assert recorder.valid_loss is not None
    return recorder.valid_loss


def make_trainer(settings: Train, recorder: Recorder, work: Path) -> lightning.Trainer:
    """Lightning's trainer with everything off that this study does itself, or not at all."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric")
    off: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=settings.steps,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.optimiser.clip_norm,
        default_root_dir=work,
        callbacks=[recorder],
        # Not Lightning's own handling of Slurm: Snakemake submits and requeues.
        plugins=[PlainCheckpoints(), LightningEnvironment()],
        enable_autolog_hparams=False,
        **off,
    )
