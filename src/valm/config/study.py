"""The whole configuration of a study, read from ``config.yaml`` and a study file merged over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from valm.config.base import Settings
from valm.config.embed import Embed
from valm.config.evaluate import Evaluate
from valm.config.ingest import Ingest
from valm.config.models import Models
from valm.config.report import Report
from valm.config.retrieve import Retrieve
from valm.config.train import Train
from valm.core.registry import did_you_mean
from valm.errors import ConfigError

DEFAULT_STUDY = "small"


class Study(Settings):
    """A study: what goes in, how it is processed, which models are compared on what."""

    study: str = Field(
        DEFAULT_STUDY,
        pattern=r"^[a-z0-9_]+$",
        description="Name; results/studies/<name>/ if not small.",
    )
    seed: int = Field(1, ge=0, description="Seed of everything but the models' own seeds.")
    ingest: Ingest = Field(default_factory=Ingest, description="Raw inputs.")
    embed: Embed = Field(default_factory=Embed, description="Encoder and vectors.")
    retrieve: Retrieve = Field(default_factory=Retrieve, description="Index and neighbours.")
    models: Models = Field(default_factory=Models, description="Model variants.")
    train: Train = Field(default_factory=Train, description="Training.")
    evaluate: Evaluate = Field(default_factory=Evaluate, description="Evaluation.")
    report: Report = Field(default_factory=Report, description="Report.")

    @property
    def results(self) -> Path:
        """The folder of this study's results."""
        return results_of(self.study)


def results_of(study: str) -> Path:
    """The folder of a study's results, by its name."""
    return Path("results") if study == DEFAULT_STUDY else Path("results/studies") / study


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; lists and scalars of ``over`` replace those of ``base``."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def parse_study(data: Mapping[str, Any], where: str = "config.yaml") -> Study:
    """Validate plain data as a study.

    Raises:
        ConfigError: Naming the first wrong key or value, with the closest known key.
    """
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            known = did_you_mean(path[-1], _keys_at(path[:-1]))
            raise ConfigError(f"unknown key {'.'.join(path)!r}", where=where, cure=known) from error
        message = first["msg"].removeprefix("Value error, ")
        cure = "see config/README.md for every key"
        raise ConfigError(f"{'.'.join(path)}: {message}", where=where, cure=cure) from error


def load_study(paths: Iterable[Path]) -> Study:
    """Read YAML files, the later merged over the earlier, and validate the whole.

    Raises:
        ConfigError: A file is missing, is not YAML, or holds a wrong key or value.
    """
    merged: dict[str, Any] = {}
    names = [str(path) for path in paths]
    for name in names:
        merged = merge(merged, read_settings(Path(name)))
    return parse_study(merged, where=" + ".join(names))


def read_settings(file: Path) -> dict[str, Any]:
    """Read one YAML file of settings, as plain data.

    Raises:
        ConfigError: It is missing, is not YAML, or is no mapping.
    """
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        beside = did_you_mean(file.name, (other.name for other in file.parent.glob("*.yaml")))
        raise ConfigError("there is no such file of settings", where=file, cure=beside) from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"cannot read the configuration: {said}", where=file) from error
    if not isinstance(data, dict):
        raise ConfigError("a configuration file must be a mapping", where=file)
    return data


def _keys_at(path: list[str]) -> list[str]:
    """The known keys of the settings model at a key path."""
    model: type[BaseModel] = Study
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            continue  # an index into a list
        annotation: Any = field.annotation
        inner = getattr(annotation, "__args__", (annotation,))[0]
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return list(model.model_fields)
