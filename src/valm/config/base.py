"""What all sections of the configuration share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A section or part of one: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Plugin(Settings):
    """A registered plug-in and its parameters, which its own ``Params`` model validates."""

    name: str = Field(description="Name of the plug-in: its file name in the registry's folder.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="The plug-in's own parameters; its file documents them."
    )
