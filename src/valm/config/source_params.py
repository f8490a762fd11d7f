"""Parameters of picture and text sources: what a plug-in takes, checked when a study is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from valm.config.base import Settings
from valm.core.registry import did_you_mean
from valm.errors import ConfigError

P = TypeVar("P", bound=Settings)


class NoParams(Settings):
    """The parameters of a source that takes none."""


def source_params(kind: type[P], given: Mapping[str, Any], where: str) -> P:
    """The parameters of a source.

    Args:
        kind: The plug-in's model of them.
        given: What the configuration says.
        where: Key path that errors name.

    Raises:
        ConfigError: One is unknown, missing or wrong.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        known = did_you_mean(str(first["loc"][-1]), kind.model_fields) if first["loc"] else None
        raise ConfigError(f"{key}: {message}", where=where, cure=known) from error
