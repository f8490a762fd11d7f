"""First stage of the towers: the picture tower and one free vector for each phrase, no text yet.

With both towers untrained, all vectors fall together before any phrase is learnt. Phrases with a
vector of their own find their pictures in seconds, and are where the text tower starts from.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from valm.config.base import Settings
from valm.core.progress import Tracker
from valm.core.seeding import numpy_generator
from valm.embed.towers.determinism import same_bits
from valm.embed.towers.losses import PictureSets, pictures_to_states, states_to_pictures
from valm.embed.towers.networks import PictureTower
from valm.embed.towers.schedule import cosine_share


class PictureTraining(Settings):
    """How the picture tower is trained, against one free vector a phrase."""

    steps: int = Field(200, ge=1, description="Optimiser steps.")
    phrases_per_step: int = Field(512, ge=1, description="Phrases drawn for a step.")
    learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled weight decay of the tower.")
    temperature: float = Field(0.05, gt=0, description="Temperature of the softmax.")
    noise: float = Field(
        0.3, ge=0, description="Standard deviation of noise on the inputs, which have 1."
    )
    picture_to_text_weight: float = Field(
        0.5, ge=0, description="Weight of the softmax over phrases beside that over pictures."
    )


@same_bits()
def train_picture_tower(
    tower: PictureTower,
    inputs: Float[Tensor, "pictures inputs"],
    sets: PictureSets,
    settings: PictureTraining,
    seed: int,
) -> Float[Tensor, "sets width"]:
    """Train in place.

    Args:
        inputs: Inputs of the tower, each of standard deviation 1.
        sets: The pictures that each phrase speaks of.

    Returns:
        The unit vectors of the phrases.
    """
    generator = numpy_generator(seed, "picture tower")
    noise = torch.Generator().manual_seed(int(generator.integers(2**62)))
    with torch.no_grad():
        phrases = nn.Parameter(sets.means(tower(inputs)))
    optimiser = torch.optim.AdamW(
        [
            {"params": list(tower.parameters()), "weight_decay": settings.weight_decay},
            {"params": [phrases], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    scale = torch.tensor(1 / settings.temperature)
    holds = sets.membership(len(inputs))
    with Tracker("training the picture tower", settings.steps, "steps") as tracker:
        for step in range(1, settings.steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * cosine_share(step, settings.steps)
            count = min(settings.phrases_per_step, sets.count)
            drawn = torch.from_numpy(generator.choice(sets.count, count, replace=False))
            disturbed = inputs + settings.noise * torch.randn(inputs.shape, generator=noise)
            pictures = tower(disturbed)
            states = functional.normalize(phrases[drawn], dim=-1)
            centres = sets.means(pictures)[drawn]
            loss = states_to_pictures(states, pictures, centres, scale).mean()
            positive = holds[drawn].T.float()
            spoken_of = positive.any(dim=-1)
            back = pictures_to_states(
                pictures[spoken_of], states, positive[spoken_of], scale
            ).mean()
            optimiser.zero_grad(set_to_none=True)
            total = loss + settings.picture_to_text_weight * back
            total.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            tracker.advance(note=f"loss {float(loss.detach()):.3f}")
    return functional.normalize(phrases.detach(), dim=-1)
