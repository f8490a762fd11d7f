"""What an architecture is: the plug-in that says what one kind of trunk does otherwise than another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor, nn

from valm.core.registry import Registry


class Architecture(ABC):
    """One kind of pre-norm trunk; a module of ``valm.models.architectures`` sets ``PLUGIN`` to one."""

    @abstractmethod
    def embedding_scale(self, width: int) -> float:
        """What token embeddings are multiplied by before positions are added."""

    @abstractmethod
    def activation(self, hidden: Tensor) -> Tensor:
        """The nonlinearity of the feed-forward layers."""

    @abstractmethod
    def draw(
        self, module: nn.Module, path: str, parameter: Tensor, layers: int, generator: Generator
    ) -> None:
        """Fill a parameter with its initial values.

        Args:
            module: What the parameter belongs to.
            path: Dotted name of the parameter in the model.
            layers: Number of the trunk's layers.
        """


@dataclass(frozen=True)
class HubSizes:
    """Sizes that the ``config.json`` of a checkpoint states."""

    layers: int
    width: int
    heads: int
    context_tokens: int
    vocabulary: int


class PublishedArchitecture(Architecture):
    """An architecture that can start from published weights."""

    @abstractmethod
    def sizes_of(self, hub_config: Mapping[str, Any]) -> HubSizes:
        """The sizes of a checkpoint.

        Args:
            hub_config: What its ``config.json`` holds.

        Raises:
            InputError: It describes a model that this architecture is not.
        """

    @abstractmethod
    def trunk_tensors(self, tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
        """A trunk's tensors, by its own names, out of a checkpoint's.

        Raises:
            InputError: A tensor is missing.
        """


ARCHITECTURES: Registry[Architecture] = Registry("architecture", "valm.models.architectures")
