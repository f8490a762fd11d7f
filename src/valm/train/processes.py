"""The processes that train one model together: which one this is, and how they are brought together.

One machine: the command that the user gave starts the others by itself. Several: ``srun`` starts that
same command once for each process.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.plugins.precision.fsdp import FSDPPrecision
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, Strategy

from valm.config.train import Devices
from valm.core.logs import logger
from valm.core.progress import PLAIN
from valm.errors import ConfigError
from valm.models.trunk import Block


@dataclass(frozen=True)
class Process:
    """One of the processes of a training.

    Attributes:
        rank: Its number; 0 leads: it alone writes, logs and says what came out.
        started_by_leader: The leader started it and watches over it.
    """

    rank: int
    started_by_leader: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0


def this_process(devices: Devices) -> Process:
    """Which process this is, before any is brought together with the others.

    A process that does not lead is silent from here on, but for errors.

    Raises:
        ConfigError: Several machines are configured, and srun has not started the processes.
    """
    if devices.processes == 1:
        return Process(rank=0)
    if _under_slurm(devices):
        process = Process(int(os.environ["SLURM_PROCID"]))
    else:
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        process = Process(local_rank, started_by_leader=local_rank > 0)
    if not process.leads:
        os.environ[PLAIN] = "1"
        logger.setLevel(logging.ERROR)
    return process


def cluster_environment(devices: Devices) -> ClusterEnvironment:
    """How the processes find one another.

    One process needs nobody, even inside a Slurm job: Snakemake submits and requeues.
    """
    if devices.processes > 1 and _under_slurm(devices):
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def make_strategy(devices: Devices, *, all_parameters_used: bool) -> Strategy | str:
    """How the processes share the work; "auto" for one process.

    Args:
        all_parameters_used: False if a step leaves some parameters without gradient.
    """
    if devices.strategy == "fsdp":
        return FSDPStrategy(
            auto_wrap_policy={Block},
            use_orig_params=True,
            precision_plugin=_BatchesAsTheyAre("32-true"),
        )
    if devices.processes == 1:
        return "auto"
    return DDPStrategy(
        broadcast_buffers=False,  # all are computed, and equal
        find_unused_parameters=not all_parameters_used,
    )


class _BatchesAsTheyAre(FSDPPrecision):
    """Lightning would convert the tensors of a batch, ids and masks too; autocast does what is to be."""

    def convert_input(self, data: Any) -> Any:
        """The batch itself."""
        return data


def _under_slurm(devices: Devices) -> bool:
    """Whether srun started this process as one of those that are configured.

    Raises:
        ConfigError: Several machines are configured, and it did not.
    """
    started = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if devices.nodes > 1 and started != devices.processes:
        raise ConfigError(
            f"{devices.nodes} machines with {devices.per_node} processes each are configured, but "
            + ("srun did not start them" if started == 1 else f"srun started {started} processes"),
            where="train.devices",
            cure=f"put `srun --nodes {devices.nodes} --ntasks-per-node {devices.per_node}` before the"
            " command",
        )
    return started == devices.processes
