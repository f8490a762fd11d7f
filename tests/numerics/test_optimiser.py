"""One step of the optimiser against the formula: Adam, and a decay of all parameters apart from it."""

from __future__ import annotations

import torch
from torch import nn

from valm.config.train import Optimiser
from valm.train.optimiser import make_optimiser


def test_a_step_is_adam_with_decoupled_decay_of_everything() -> None:
    """Two steps by hand (VALM.md 5); the norm's gain and the biases decay too."""
    settings = Optimiser(learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.98))
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    optimiser = make_optimiser(model.parameters(), settings)
    wanted = [p.detach().double().clone() for p in model.parameters()]
    means = [torch.zeros_like(p) for p in wanted]
    squares = [torch.zeros_like(p) for p in wanted]
    generator = torch.Generator().manual_seed(0)
    for step in (1, 2):
        for number, parameter in enumerate(model.parameters()):
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = gradient.clone()
            exact = gradient.double()
            means[number] = 0.9 * means[number] + 0.1 * exact
            squares[number] = 0.98 * squares[number] + 0.02 * exact**2
            mean, square = means[number] / (1 - 0.9**step), squares[number] / (1 - 0.98**step)
            wanted[number] *= 1 - 0.1 * 0.5
            wanted[number] -= 0.1 * mean / (square.sqrt() + 1e-8)
        optimiser.step()
    for parameter, value in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.detach().double(), value, rtol=1e-5, atol=1e-6)
