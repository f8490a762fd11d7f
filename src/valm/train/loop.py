"""A training from its newest checkpoint to its last step: state in the work folder, Lightning around."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.exceptions import SIGTERMException

from valm.core.logs import logger
from valm.core.progress import Tracker
from valm.core.seeding import derive_seed
from valm.errors import ConfigError, ResumeError
from valm.train.checkpoint import CHECKPOINTS, PlainCheckpoints, step_of
from valm.train.curves import open_curves
from valm.train.metrics import HISTORY, go_on_after, read_lines
from valm.train.processes import Process, cluster_environment, make_strategy
from valm.train.recorder import Recorder
from valm.train.training import Training

TERMINATED = 128 + 15  # what a shell reports of a process that SIGTERM ended


def run_training(
    training: Training,
    what: str,
    work: Path,
    shown: Path,
    process: Process,
    checkpoint: Path | None = None,
) -> float:
    """Train to the last step; returns the last validation loss.

    The leading process alone writes: in ``work`` checkpoints, the history, ``progress.json``; curves
    in ``shown``.

    Args:
        checkpoint: What to go on from; the history so far lies beside its folder.

    Raises:
        ConfigError: There are not the devices that the configuration states.
        ResumeError: A training with fsdp was killed.
        SystemExit: With 143, after SIGTERM and a checkpoint.
    """
    settings = training.settings
    # One process draws as it always has; of several, each draws a dropout of its own.
    names = ("dropout",) if process.leads else ("dropout", process.rank)
    torch.manual_seed(derive_seed(training.seed, *names))
    if checkpoint is not None and settings.devices.strategy == "fsdp":
        raise ResumeError(
            "a training with the strategy fsdp cannot go on from its checkpoints",
            where=checkpoint,
            cure=f"remove {work} to begin anew, or train with ddp",
        )
    history, progress = work / HISTORY, work / "progress.json"
    done = step_of(checkpoint) if checkpoint else 0
    if process.leads:
        earlier = checkpoint.parents[1] / HISTORY if checkpoint else history
        go_on_after(done, earlier, history)
    if done:
        logger.info("%s: going on from step %s of %s", what, done, settings.steps)
    per_step = settings.sequences_per_step * training.model.trunk.config.context_tokens
    logger.info("%s: watch %s, or tensorboard --logdir %s", what, progress, shown)
    facts = settings.model_dump(mode="json")
    file, folder = (progress, shown) if process.leads else (None, None)
    with (
        Tracker(what, settings.steps * per_step, "tokens", file, done * per_step) as tracker,
        open_curves(folder, settings.tracking, what, facts, read_lines(history)) as curves,
    ):
        recorder = Recorder(tracker, history, curves, work / CHECKPOINTS, per_step)
        try:
            make_trainer(training, recorder, work).fit(training, ckpt_path=checkpoint)
        except SIGTERMException as error:
            logger.warning("%s: stopped by SIGTERM; run it again to go on", what)
            # To its leader, a process that ends with anything but 0 has failed.
            raise SystemExit(0 if process.started_by_leader else TERMINATED) from error
    assert recorder.valid_loss is not None
    return recorder.valid_loss


def make_trainer(training: Training, recorder: Recorder, work: Path) -> lightning.Trainer:
    """Lightning's trainer with everything off that this study does itself, or not at all.

    Raises:
        ConfigError: There are not the devices that the configuration states.
    """
    settings, devices = training.settings, training.settings.devices
    environment = cluster_environment(devices)
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric")
    off: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    try:
        return lightning.Trainer(
            accelerator="auto",
            strategy=make_strategy(devices, all_parameters_used=training.uses_all_parameters),
            devices=devices.per_node,
            num_nodes=devices.nodes,
            accumulate_grad_batches=devices.accumulate_steps,
            max_steps=settings.steps,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            gradient_clip_val=settings.optimiser.clip_norm,
            default_root_dir=work,
            callbacks=[recorder],
            plugins=[PlainCheckpoints(), environment],
            enable_autolog_hparams=False,
            **off,
        )
    except (ValueError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"Lightning refuses these devices: {reason}",
            where="train.devices",
            cure="state devices that this machine has; without a GPU, the strategy ddp",
        ) from error
