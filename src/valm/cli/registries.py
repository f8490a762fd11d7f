"""Every registry of the project, handed to the configuration to check the names in a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from valm.config.plugins import check_plugins
from valm.config.study import Study, load_study, parse_study
from valm.core.registry import Registry

REGISTRIES: dict[str, Registry[object]] = {
    "ingest.pictures.sources": Registry("picture source", "valm.ingest.picture_sources"),
    "ingest.pictures.params": Registry("picture source", "valm.ingest.picture_sources"),
    "ingest.text.sources": Registry("text source", "valm.ingest.text_sources"),
    "ingest.text.params": Registry("text source", "valm.ingest.text_sources"),
    "embed.encoder": Registry("encoder", "valm.embed.encoders"),
    "models.variants[].fusion": Registry("fusion", "valm.models.fusions"),
    "models.variants[].objective": Registry("objective", "valm.models.objectives"),
    "models.trunk.architecture": Registry("architecture", "valm.models.architectures"),
    "models.variants[].pictures": Registry("picture control", "valm.retrieve.controls"),
    "evaluate.tasks": Registry("task", "valm.evaluate.tasks"),
    "evaluate.optional_tasks": Registry("task", "valm.evaluate.tasks"),
    "evaluate.samples": Registry("task", "valm.evaluate.tasks"),
    "evaluate.words": Registry("task", "valm.evaluate.tasks"),
    "evaluate.controls": Registry("picture control", "valm.retrieve.controls"),
    "evaluate.baselines[].kind": Registry("kind of baseline", "valm.evaluate.baselines"),
}


def checked_study(source: Mapping[str, Any] | list[Path]) -> Study:
    """A study from plain data or configuration files, with every plug-in name checked.

    Raises:
        ConfigError: A key, value or plug-in name is wrong.
    """
    study = load_study(source) if isinstance(source, list) else parse_study(source)
    return check_plugins(study, REGISTRIES)
