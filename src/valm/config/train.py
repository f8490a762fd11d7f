"""Settings of train: steps, optimiser, devices, and what is written on the way."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from valm.config.base import Settings


class Optimiser(Settings):
    """AdamW and its schedule."""

    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate.")
    warmup_steps: int = Field(100, ge=0, description="Linear warm-up from zero.")
    schedule: Literal["cosine", "inverse_sqrt"] = Field(
        "cosine", description="After warm-up: cosine to 10 %, or inverse square root (the paper)."
    )
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay.")
    betas: tuple[float, float] = Field((0.9, 0.98), description="Adam's moment decays.")
    clip_norm: float = Field(2.0, gt=0, description="Largest global gradient norm.")


class Devices(Settings):
    """The processes that train one model together, and what they trade for memory.

    How the batch of a step is shared out changes no more than the last bits of a result.
    """

    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="Several processes: each a whole model (ddp), or a share (fsdp, GPUs only).",
    )
    per_node: int = Field(1, ge=1, description="Processes a machine: one a GPU.")
    nodes: int = Field(1, ge=1, description="Machines; more than one are started by srun.")
    accumulate_steps: int = Field(
        1, ge=1, description="Parts of a step's batch that a process computes one after the other."
    )
    activation_checkpointing: bool = Field(
        False, description="Compute each block's activations again on the way back: less memory."
    )

    @property
    def processes(self) -> int:
        """All processes of a training."""
        return self.per_node * self.nodes


class Train(Settings):
    """How every variant is trained."""

    seeds: list[int] = Field(
        [1, 2, 3], min_length=1, description="One model of each variant a seed."
    )
    steps: int = Field(1000, ge=1, description="Optimiser steps.")
    sequences_per_step: int = Field(16, ge=1, description="Sequences in one step's batch.")
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Autocast type of the forward pass; weights stay float32."
    )
    optimiser: Optimiser = Field(default_factory=Optimiser, description="AdamW and schedule.")
    validate_every_steps: int = Field(250, ge=1, description="Steps between validation losses.")
    validation_tokens: int = Field(
        8192, ge=1, description="Validation tokens used during training."
    )
    metrics_every_steps: int = Field(
        10, ge=1, description="Steps averaged in one line of metrics.jsonl."
    )
    checkpoint_every_steps: int = Field(250, ge=1, description="Steps between checkpoints.")
    compile: bool = Field(
        False, description="Compile the model with torch.compile: pays on a GPU and in long runs."
    )
    tracking: Literal["none", "wandb", "trackio"] = Field(
        "none", description="Service that shows the losses too; its package is yours to install."
    )
    retrieval_processes: int = Field(
        1,
        ge=1,
        description="Processes that find pictures for a model of an online preset; 1: a thread of it.",
    )
    devices: Devices = Field(default_factory=Devices, description="Processes and memory.")

    @model_validator(mode="after")
    def _batch_divides(self) -> Train:
        parts = self.devices.processes * self.devices.accumulate_steps
        if self.sequences_per_step % parts:
            raise ValueError(
                f"sequences_per_step {self.sequences_per_step} does not divide by"
                f" {self.devices.processes} processes x {self.devices.accumulate_steps} parts:"
                f" make it a multiple of {parts}"
            )
        return self
