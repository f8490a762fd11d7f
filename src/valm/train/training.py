"""The step of training, as Lightning drives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim.lr_scheduler import LambdaLR

from valm.config.train import Train
from valm.core.seeding import derive_seed
from valm.models.language_model import LanguageModel
from valm.models.objective import Exercise
from valm.train.batches import Batch, Blocks, Share, ordered_batches, prefetched, shuffled_batches
from valm.train.optimiser import learning_rate_factor, make_optimiser

# Lightning reads ahead, and is to meet no end; what is read in vain may have been searched for.
SPARE_STEPS = 2


class _FromStep(Iterable[Batch]):
    """Training batches from the trainer's step on, whenever Lightning begins to iterate."""

    def __init__(self, training: Training):
        self.training = training

    def __iter__(self) -> Iterator[Batch]:
        of = self.training
        per_step = of.settings.sequences_per_step
        parts = of.settings.devices.accumulate_steps
        share = Share(of.trainer.global_rank, of.trainer.world_size, parts)
        first_step = of.trainer.global_step
        end_step = of.settings.steps + SPARE_STEPS
        batches = shuffled_batches(of.train_blocks, per_step, of.seed, first_step, share, end_step)
        return prefetched(batches, Batch.pinned) if of.device.type == "cuda" else batches


class Training(lightning.LightningModule):
    """A language model, its batches, its optimiser and its schedule.

    Args:
        seed: The model's own seed, which orders the batches.
        image_mask_probability: How often a token is shown none of its pictures in a training step.

    Attributes:
        gathered: After training, the tensors of a model that is spread over the processes (fsdp),
            by their names in the model; of any other model None.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: Train,
        seed: int,
        train_blocks: Blocks,
        valid_blocks: Blocks,
        image_mask_probability: float = 0.0,
    ):
        super().__init__()
        self.image_mask_probability = image_mask_probability
        self.model, self.settings, self.seed = model, settings, seed
        model.trunk.recomputes = settings.devices.activation_checkpointing
        self.train_blocks, self.valid_blocks = train_blocks, valid_blocks
        self.gathered: Mapping[str, Tensor] | None = None
        self.loss = torch.compile(model.loss) if settings.compile else model.loss
        self.rate_factor = learning_rate_factor(settings.optimiser, settings.steps)

    @property
    def uses_all_parameters(self) -> bool:
        """Whether every parameter gets a gradient: not if a model that reads pictures is shown none."""
        return self.train_blocks.shows_pictures or not self.model.fused_layers

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Mean loss of a batch in nats a token."""
        pictures, probability = batch.pictures, self.image_mask_probability
        if pictures is not None and probability > 0:
            pictures = pictures.masked(probability)
        given = self._exercise(batch)
        with self.autocast():
            return self.loss(given.ids, given.answers, pictures, given.asked, given.prefix)

    def _exercise(self, batch: Batch, generator: torch.Generator | None = None) -> Exercise:
        """What the model's objective makes of a batch."""
        model = self.model
        return model.objective.exercise(batch.ids, batch.targets, model.vocabulary_size, generator)

    def autocast(self) -> AbstractContextManager[None]:
        """Matrix products in the configured type; weights, norms and losses stay float32."""
        enabled = self.settings.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def validation_loss(self) -> float:
        """Mean loss over the first tokens of the validation stream, in nats a token."""
        context = self.model.trunk.config.context_tokens
        count = min(len(self.valid_blocks), max(1, self.settings.validation_tokens // context))
        per_batch = self.settings.sequences_per_step
        self.model.eval()
        # The same places are asked for at every validation, of every model.
        self.validation_choices.manual_seed(derive_seed(0, "validation"))
        with torch.no_grad(), self.autocast():
            losses = [
                cast(Tensor, self.trainer.strategy.validation_step(batch))
                for batch in (
                    batch.to(self.device)
                    for batch in ordered_batches(self.valid_blocks, count, per_batch)
                )
            ]
        self.model.train()
        return float(torch.cat(losses).double().mean())

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients; where they are shared out, all processes add it up."""
        whole = self.trainer.strategy.model
        if isinstance(whole, FullyShardedDataParallel) and gradient_clip_val is not None:
            whole.clip_grad_norm_(gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def validation_step(self, batch: Batch) -> Tensor:
        """The loss of every token of a batch that is asked for, in nats."""
        given = self._exercise(batch, self.validation_choices)
        return self.model.token_losses(
            given.ids, given.answers, batch.pictures, given.asked, given.prefix
        )

    def on_fit_start(self) -> None:
        """Keep the picture table, and the validation's generator, where the model is."""
        self.validation_choices = torch.Generator(self.device)
        self.train_blocks = self.train_blocks.to(self.device)
        self.valid_blocks = self.valid_blocks.to(self.device)

    def on_train_end(self) -> None:
        """Bring the shares of a model together that is spread over the processes."""
        strategy = self.trainer.strategy
        if isinstance(strategy.model, FullyShardedDataParallel):
            whole = strategy.lightning_module_state_dict()  # of the leading process, else empty
            self.gathered = {name.removeprefix("model."): value for name, value in whole.items()}

    def train_dataloader(self) -> Iterable[Batch]:
        """Batches from the step that the trainer is at."""
        return _FromStep(self)

    def configure_optimizers(self) -> Any:
        """AdamW, with a learning rate for each step."""
        optimiser = make_optimiser(self.parameters(), self.settings.optimiser)
        schedule = LambdaLR(optimiser, self.rate_factor)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of the generators that dropout draws from, a row for each process."""
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        strategy, rows = self.trainer.strategy, self.trainer.world_size
        checkpoint["generators"] = {
            name: strategy.all_gather(state.to(self.device)).view(rows, -1).cpu()
            for name, state in states.items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the generators back."""
        rank, rows = self.trainer.global_rank, checkpoint["generators"]
        # A generator reads a tensor's memory from its start, so each row must have its own.
        states = {name: of_all[rank].clone() for name, of_all in rows.items()}
        torch.set_rng_state(states["cpu"])
        if self.device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)
