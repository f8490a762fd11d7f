"""What a study needs from outside: its raw files by name, and the folder that they lie in.

The workflow asks before anything runs, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

from valm.cli.registries import REGISTRIES
from valm.config.base import Settings
from valm.config.source_params import source_params
from valm.config.study import DEFAULT_STUDY, Study
from valm.evaluate.questions.definitions import TASKS
from valm.evaluate.questions.task_texts import has_own_texts
from valm.ingest.picture_sources import PICTURE_SOURCES

DATA, OPTIONAL_DATA = "data", "data_optional"
COLOUR_NOTES = "colour_notes"
# The one encoder that reads picture features, and the network that they come from.
ENCODERS_WITH_FEATURES = ("two_tower",)
MOST_PROCESSES = 16  # Snakemake gives a job no more than it has itself
FEATURE_NETWORK = "pip_efficientnet_lite0"


class ReadsRawFiles(Protocol):
    """A plug-in that states the raw files it reads, by their names in the sources lock."""

    raw: tuple[str, ...]


class TakesParams(Protocol):
    """A plug-in with parameters of its own."""

    params: type[Settings]


def plugin(registry: str, name: str) -> ReadsRawFiles:
    """A plug-in that reads raw files, by the key path of its registry and its name."""
    return cast(ReadsRawFiles, REGISTRIES[registry].get(name))


def given_files(study: Study, registry: str, name: str) -> list[list[str | int | None]]:
    """The files that a study names for a source, each with its size, None while it is not there.

    Raises:
        ConfigError: A parameter of the source is wrong.
    """
    params = params_of(study, registry, name)
    files: list[Path] = [*getattr(params, "files", ()), *getattr(params, "metadata", ())]
    return [[str(file), file.stat().st_size if file.is_file() else None] for file in files]


def params_of(study: Study, registry: str, name: str) -> Settings:
    """The parameters that a study gives a picture or text source, checked.

    Raises:
        ConfigError: One is wrong.
    """
    own = study.ingest.pictures if registry == "ingest.pictures.sources" else study.ingest.text
    kind = cast(TakesParams, REGISTRIES[registry].get(name)).params
    where = f"{registry.removesuffix('sources')}params.{name}"
    return source_params(kind, own.params.get(name, {}), where)


def check_source_params(study: Study) -> Study:
    """Return the study if every picture and text source can take the parameters it is given.

    Raises:
        ConfigError: A parameter is wrong.
    """
    for name in study.ingest.pictures.sources:
        params_of(study, "ingest.pictures.sources", name)
    for source in study.ingest.text.sources:
        params_of(study, "ingest.text.sources", source.name)
    return study


def planned_shards(study: Study) -> dict[str, tuple[int, bool]]:
    """Each picture source that is written shard by shard: how many, and whether they are downloaded."""
    planned = {}
    for name in study.ingest.pictures.sources:
        shards = PICTURE_SOURCES.get(name).planned
        if shards is not None:
            params = params_of(study, "ingest.pictures.sources", name)
            planned[name] = (shards.count(params), shards.downloads(params))
    return planned


def compared_tasks(study: Study) -> list[str]:
    """The tasks whose texts the training text is compared with, if it is."""
    if study.ingest.text.decontaminate == "off":
        return []
    tasks = [*study.evaluate.tasks, *study.evaluate.optional_tasks]
    return [name for name in tasks if has_own_texts(TASKS.get(name))]


def side_by_side(registry: str, name: str) -> int:
    """Processes that a job of a source uses where it may."""
    return MOST_PROCESSES if getattr(REGISTRIES[registry].get(name), "cleans_itself", False) else 1


def text_sources(study: Study) -> list[str]:
    """Names of the study's text sources; colour notes are one if they have a share."""
    names = [source.name for source in study.ingest.text.sources]
    return [*names, COLOUR_NOTES] if study.ingest.text.colour_notes.share else names


def reads_features(study: Study) -> bool:
    """Whether the study's encoder reads picture features."""
    return study.embed.encoder.name in ENCODERS_WITH_FEATURES


def required_sources(study: Study) -> list[str]:
    """Names of the raw files without which the study cannot run."""
    plugins = [
        *(plugin("ingest.pictures.sources", name) for name in study.ingest.pictures.sources),
        *(plugin("ingest.text.sources", name) for name in text_sources(study)),
        *(plugin("evaluate.tasks", name) for name in study.evaluate.tasks),
    ]
    network = [FEATURE_NETWORK] if reads_features(study) else []
    return _raw_files(plugins) + [name for name in network if name not in _raw_files(plugins)]


def optional_sources(study: Study) -> list[str]:
    """Names of the raw files that only optional tasks read."""
    plugins = [plugin("evaluate.tasks", name) for name in study.evaluate.optional_tasks]
    required = set(required_sources(study))
    return [name for name in _raw_files(plugins) if name not in required]


def data_folder(study: Study, source: str) -> str:
    """Where a raw file lies; all studies look for it in the same place, so that they share it.

    DVC tracks ``data``, which holds the default study's required files and nothing else.
    """
    default = study if study.study == DEFAULT_STUDY else Study()
    return DATA if source in required_sources(default) else OPTIONAL_DATA


def _raw_files(plugins: Iterable[ReadsRawFiles]) -> list[str]:
    return list(dict.fromkeys(name for plugin in plugins for name in plugin.raw))
