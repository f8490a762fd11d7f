"""What happens after each step: the history, validation, checkpoints, and the progress line."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from valm.core.progress import Tracker
from valm.errors import ValmError
from valm.train.checkpoint import checkpoint_folder, drop_old_checkpoints
from valm.train.curves import Curves
from valm.train.memory import peak_memory_bytes
from valm.train.metrics import Line, append_line
from valm.train.termination import Termination
from valm.train.training import Training


class Recorder(lightning.Callback):
    """Writes the history and the checkpoints of one training.

    Args:
        tracker: Counts tokens.
        history: ``metrics.jsonl``.
        curves: What else shows it.
        checkpoints: Folder of the checkpoints.
        tokens_per_step: Training tokens of one step.
    """

    def __init__(
        self,
        tracker: Tracker,
        history: Path,
        curves: Curves,
        checkpoints: Path,
        tokens_per_step: int,
    ):
        self.tracker, self.history, self.curves = tracker, history, curves
        self.checkpoints = checkpoints
        self.tokens_per_step = tokens_per_step
        # Sum and count of losses since the last line, and training time up to it.
        self.loss_sum, self.loss_count, self.seconds = torch.zeros(()), 0, 0.0
        # After how many of them the sum was finite: tells the first bad step, asked for rarely,
        # because every question would wait for the GPU.
        self.finite_count = torch.zeros((), dtype=torch.int64)
        self.valid_loss: float | None = None
        self.clock = 0.0
        self.termination = Termination()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        names = ("loss_sum", "loss_count", "finite_count", "seconds", "valid_loss")
        return {name: getattr(self, name) for name in names}

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Keep the mean of all processes' losses, from which each of them goes on."""
        mean = trainer.strategy.reduce(self.loss_sum.clone(), reduce_op="mean")
        checkpoint["callbacks"][self.state_key]["loss_sum"] = mean

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        vars(self).update(state_dict)

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock; answer SIGTERM after the step at hand, all processes together."""
        self.clock = time.monotonic()
        self.loss_sum = self.loss_sum.to(module.device)
        self.finite_count = self.finite_count.to(module.device)
        self.termination.listen()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count a step; write a line, validate, save a checkpoint where they are due.

        Raises:
            SIGTERMException: One of the processes was asked to end; a checkpoint is there.
        """
        assert isinstance(module, Training)
        step, settings = trainer.global_step, module.settings
        # Lightning divides the loss of each part of a batch by their number.
        self.loss_sum += outputs["loss"].detach()
        if (batch_idx + 1) % settings.devices.accumulate_steps:
            return  # the step is not complete
        self.loss_count += 1
        self.finite_count += self.loss_sum.isfinite()

        def due(every: int) -> bool:
            return step % every == 0 or step == settings.steps

        validates = due(settings.validate_every_steps)
        if validates or due(settings.metrics_every_steps):
            self.write_line(module, step, validates)
        ends = self.termination.wanted(trainer) and step < settings.steps
        if due(settings.checkpoint_every_steps) or ends:
            self.require_finite(trainer, step, module.parameters())
            trainer.save_checkpoint(checkpoint_folder(self.checkpoints, step))
            if trainer.is_global_zero:
                drop_old_checkpoints(self.checkpoints)
        self.tracker.advance(self.tokens_per_step, self.tracker.note)
        if ends:
            raise SIGTERMException

    def require_finite(
        self, trainer: lightning.Trainer, step: int, parameters: Iterable[Tensor] = ()
    ) -> None:
        """Stop before numbers that are none are shown or saved; the checkpoints before stay.

        Raises:
            ValmError: A loss since the last line is not finite, or a parameter.
        """
        cure = (
            "lower train.optimiser.learning_rate or raise its warmup_steps; the last good checkpoint"
            f" is kept in {self.checkpoints}"
        )
        fewest = trainer.strategy.reduce(self.finite_count.clone(), reduce_op="min")
        finite = int(fewest)
        if finite < self.loss_count:
            bad = step - self.loss_count + finite + 1
            raise ValmError(f"the loss of step {bad} is not a finite number", cure=cure)
        checks = [parameter.isfinite().all() for parameter in parameters]
        whole = not checks or bool(torch.stack(checks).all())
        if not trainer.strategy.reduce_boolean_decision(whole):
            raise ValmError(f"parameters are not finite after step {step}", cure=cure)

    def write_line(self, module: Training, step: int, validates: bool) -> None:
        """Add the mean loss since the last line, and the validation loss if asked for.

        Raises:
            ValmError: The loss is not finite.
        """
        self.require_finite(module.trainer, step)
        mean = module.trainer.strategy.reduce(self.loss_sum.clone(), reduce_op="mean")
        loss = float(mean) / self.loss_count
        valid_loss = module.validation_loss() if validates else None
        now = time.monotonic()
        elapsed, self.clock = now - self.clock, now
        self.seconds += elapsed
        line = Line(
            step=step,
            tokens=step * self.tokens_per_step,
            loss=loss,
            valid_loss=valid_loss,
            learning_rate=module.settings.optimiser.learning_rate * module.rate_factor(step - 1),
            tokens_per_second=round(self.loss_count * self.tokens_per_step / elapsed, 1),
            seconds=round(self.seconds, 2),
            peak_memory_bytes=peak_memory_bytes(module.device),
        )
        if module.trainer.is_global_zero:
            append_line(self.history, line)
        self.curves.add(line)
        if valid_loss is not None:
            self.valid_loss = valid_loss
        self.loss_sum.zero_()
        self.finite_count.zero_()
        self.loss_count = 0
        gigabytes = line.peak_memory_bytes / 1e9
        self.tracker.facts = asdict(line) | {"steps": module.settings.steps}
        self.tracker.note = (
            f"loss {loss:.3f}, {line.tokens_per_second:,.0f} tokens/s, {gigabytes:.1f} GB"
        )
