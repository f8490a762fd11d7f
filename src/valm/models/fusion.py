"""What a fusion is: the plug-in that decides where and how pictures enter the trunk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from valm.core.registry import Registry
from valm.errors import ConfigError
from valm.models.trunk import Block, TrunkConfig


class FusionParams(BaseModel):
    """Parameters of a fusion: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fusion(ABC):
    """One way for pictures to enter; a module of ``valm.models.fusions`` sets ``PLUGIN`` to one.

    Attributes:
        parameters: Model of the plug-in's parameters, ``Params`` of its module.
        reads_pictures: Whether the model looks at pictures at all.
    """

    parameters: ClassVar[type[FusionParams]] = FusionParams
    reads_pictures: ClassVar[bool] = True

    def __init__(self, name: str, params: FusionParams):
        self.name, self.params = name, params

    @abstractmethod
    def block(self, layer: int, trunk: TrunkConfig, value_width: int) -> Block | None:
        """Make the block of a layer, or None where the trunk's own belongs.

        Args:
            layer: Number of the layer, from 0.
            trunk: Sizes of the trunk.
            value_width: Width of a picture's vector.
        """


FUSIONS: Registry[type[Fusion]] = Registry("fusion", "valm.models.fusions")


def make_fusion(name: str, params: Mapping[str, Any]) -> Fusion:
    """Make a registered fusion.

    Raises:
        ConfigError: The name is not registered, or a parameter is wrong.
    """
    plugin = FUSIONS.get(name)
    try:
        return plugin(name, plugin.parameters.model_validate(dict(params)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"parameter {key!r} of fusion {name!r}: {first['msg']}",
            where="models.variants[].fusion.params",
            cure=f"its parameters are: {', '.join(plugin.parameters.model_fields) or 'none'}",
        ) from error
