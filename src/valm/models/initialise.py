"""Initial values: each parameter is drawn from a generator that is named after it.

So two models of one seed start with bit-equal values in every parameter that they share, whatever
else they have: GPT-2* and VaLM of one seed are a pair.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn

from valm.core.seeding import derive_seed

if TYPE_CHECKING:
    from valm.models.language_model import LanguageModel


class Projection(nn.Linear):
    """A linear map of attention: Xavier-uniform weight; its bias starts at zero if so asked.

    Queries, keys and values are one such map of width d to 3 d. Its Xavier bound, sqrt(6 / 4d), is
    exactly that of three d x d maps with gain 1/sqrt(2), which VALM.md 4.1 states.
    """

    def __init__(self, inputs: int, outputs: int, *, zero_bias: bool):
        self.zero_bias = zero_bias
        super().__init__(inputs, outputs)


def initialise(model: LanguageModel, seed: int) -> None:
    """Draw all parameters of a model as its architecture has them, each by its own name and the seed."""
    trunk = model.trunk
    with torch.no_grad():
        for path, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                full = f"{path}.{name}"
                generator = torch.Generator()
                generator.manual_seed(derive_seed(seed, "parameter", full))
                trunk.architecture.draw(module, full, parameter, trunk.config.layers, generator)


@singledispatch
def draw(module: nn.Module, name: str, parameter: Tensor, generator: Generator) -> None:
    """Fill one parameter of a module; a fusion registers the rule of its own kind of module.

    The rules here are fairseq's (VALM.md 4.1).
    """
    raise NotImplementedError(f"no initial values for {type(module).__name__}.{name}")


@draw.register
def _(module: nn.LayerNorm, name: str, parameter: Tensor, generator: Generator) -> None:
    parameter.fill_(1.0 if name == "weight" else 0.0)


@draw.register
def _(module: nn.Embedding, name: str, parameter: Tensor, generator: Generator) -> None:
    parameter.normal_(std=module.embedding_dim**-0.5, generator=generator)


@draw.register
def _(module: nn.Linear, name: str, parameter: Tensor, generator: Generator) -> None:
    draw_uniform(parameter, module.in_features, generator)


@draw.register
def _(module: Projection, name: str, parameter: Tensor, generator: Generator) -> None:
    if name == "weight":
        nn.init.xavier_uniform_(parameter, generator=generator)
    elif module.zero_bias:
        parameter.zero_()
    else:
        draw_uniform(parameter, module.in_features, generator)


def draw_uniform(parameter: Tensor, inputs: int, generator: Generator) -> None:
    """PyTorch's default of ``nn.Linear``: uniform within 1/sqrt(inputs)."""
    bound = inputs**-0.5
    parameter.uniform_(-bound, bound, generator=generator)
