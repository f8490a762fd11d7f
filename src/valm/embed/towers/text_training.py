"""Second stage of the towers: the text tower learns to point at the pictures last spoken of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from valm.config.base import Settings
from valm.core.progress import Tracker
from valm.core.seeding import numpy_generator
from valm.embed.towers.determinism import same_bits
from valm.embed.towers.losses import colour_divergence, states_to_pictures
from valm.embed.towers.networks import TextTower
from valm.embed.towers.schedule import cosine_share
from valm.embed.towers.sentences import NOTHING
from valm.embed.towers.windows import SentenceMix, Sentences, Windows, draw_windows

POINTS_OF_CURVE = 20


class TextTraining(Settings):
    """How the text tower is trained, against the pictures' finished vectors."""

    steps: int = Field(600, ge=1, description="Optimiser steps.")
    windows_per_step: int = Field(32, ge=1, description="Windows of packed sentences a step.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled weight decay of matrices.")
    temperature: float = Field(0.05, gt=0, description="Temperature of the softmax over pictures.")
    positions_share: float = Field(
        0.5, gt=0, le=1, description="Share of positions that a step compares with all pictures."
    )
    growth_share: float = Field(
        0.3, gt=0, le=1, description="Share of the steps after which carriers are of full length."
    )
    anticipation_weight: float = Field(
        0.3, ge=0, description="Weight of positions before a sentence's first mention."
    )
    colour_weight: float = Field(0.5, ge=0, description="Weight of the colour head's divergence.")
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Autocast type of the tower; the losses are float32."
    )


@dataclass(frozen=True)
class Targets:
    """What states are to point at.

    Attributes:
        pictures: Unit vectors of all pictures, [pictures, width].
        centres: The mean vector of each set of pictures, [sets, width].
        colours: The mean colour shares of each set, [sets, colours].
    """

    pictures: Float[Tensor, "pictures width"]
    centres: Float[Tensor, "sets width"]
    colours: Float[Tensor, "sets colours"]


@torch.no_grad()
def start_from_phrases(
    tower: TextTower,
    forms: Sequence[Sequence[NDArray[np.int64]]],
    phrases: Float[Tensor, "phrases width"],
) -> None:
    """Let each token that ends phrases start as their mean vector, read out as it is.

    Args:
        forms: The ids of each phrase, in singular and plural.
        phrases: Unit vectors of the phrases.
    """
    embedding = tower.transformer.token_embedding.weight
    sums, counts = torch.zeros_like(embedding), torch.zeros(len(embedding))
    for vector, spellings in zip(phrases, forms, strict=False):
        for ids in spellings:
            sums[ids[-1]] += vector
            counts[ids[-1]] += 1
    known = counts > 0
    width = embedding.shape[1]
    embedding.normal_(0.0, 0.3)
    # A token that ends many phrases, part of many words, starts from a short mean.
    embedding[known] = sums[known] / counts[known, None] * width**0.5
    tower.transformer.positional_embedding.normal_(0.0, 0.1)
    tower.transformer.text_projection.copy_(torch.eye(width))


@same_bits()
def train_text_tower(
    tower: TextTower,
    targets: Targets,
    sentences: Sentences,
    mix: SentenceMix,
    settings: TextTraining,
    seed: int,
) -> list[dict[str, float]]:
    """Train in place.

    Returns:
        The training curve: step and mean losses since the last entry.
    """
    generator = numpy_generator(seed, "text tower")
    optimiser = _optimiser(tower, settings)
    precision = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    every = max(1, settings.steps // POINTS_OF_CURVE)
    curve: list[dict[str, float]] = []
    sums: dict[str, float] = {}
    with Tracker("training the text tower", settings.steps, "steps") as tracker:
        for step in range(1, settings.steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * cosine_share(step, settings.steps)
            # Short carriers first: names are learnt before how far they reach.
            reach = min(1.0, step / (settings.growth_share * settings.steps))
            side = round(mix.side_tokens * reach)
            windows = draw_windows(
                sentences, mix, settings.windows_per_step, tower.context_tokens, generator, side
            )
            autocast = torch.autocast("cpu", precision, enabled=precision != torch.float32)
            # The fused attention's backward is three times as slow here: short, narrow heads.
            with autocast, sdpa_kernel(SDPBackend.MATH):
                losses = text_losses(tower, targets, windows, settings, generator)
            total = losses["pictures"] + settings.colour_weight * losses["colours"]
            optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimiser.step()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss.detach()) / every
            if step % every == 0:
                curve.append({"step": step} | {name: round(x, 4) for name, x in sums.items()})
                sums = {}
            tracker.advance(note=f"loss {float(total.detach()):.3f}")
    return curve


def text_losses(
    tower: TextTower,
    targets: Targets,
    windows: Windows,
    settings: TextTraining,
    generator: np.random.Generator,
) -> dict[str, Float[Tensor, ""]]:
    """The mean losses of a batch: of pointing at pictures, and of telling their colours."""
    spoken_of = windows.mentions != NOTHING
    drawn = torch.from_numpy(
        spoken_of & (generator.random(spoken_of.shape) < settings.positions_share)
    )
    vectors, colours = tower(torch.from_numpy(windows.ids))
    sets = torch.from_numpy(windows.mentions)[drawn]
    mentioned = torch.from_numpy(windows.ages >= 0)[drawn]
    weights = torch.where(mentioned, 1.0, settings.anticipation_weight)
    scale = torch.tensor(1 / settings.temperature)
    pictures = states_to_pictures(vectors[drawn], targets.pictures, targets.centres[sets], scale)
    divergence = colour_divergence(colours[drawn], targets.colours[sets])
    total = weights.sum().clamp(min=1e-6)
    return {
        "pictures": (weights * pictures).sum() / total,
        "colours": (weights * divergence).sum() / total,
    }


def _optimiser(tower: TextTower, settings: TextTraining) -> torch.optim.AdamW:
    groups = [
        {
            "params": [p for p in tower.parameters() if (p.ndim > 1) == matrices],
            "weight_decay": settings.weight_decay if matrices else 0.0,
        }
        for matrices in (True, False)
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))
