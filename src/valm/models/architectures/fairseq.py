"""The trunk of the paper's code: scaled embeddings, exact GELU, fairseq's initial values (VALM.md 4.1)."""

from __future__ import annotations

from torch import Generator, Tensor, nn
from torch.nn import functional

from valm.models.architecture import Architecture
from valm.models.initialise import draw


class Fairseq(Architecture):
    """fairseq's ``transformer_lm_gpt``."""

    def embedding_scale(self, width: int) -> float:
        """The square root of the width."""
        return float(width**0.5)

    def activation(self, hidden: Tensor) -> Tensor:
        """Exact GELU, by the error function."""
        return functional.gelu(hidden)

    def draw(
        self, module: nn.Module, path: str, parameter: Tensor, layers: int, generator: Generator
    ) -> None:
        """Each kind of module has its own rule, whatever the number of layers."""
        draw(module, path.rpartition(".")[2], parameter, generator)


PLUGIN = Fairseq()
