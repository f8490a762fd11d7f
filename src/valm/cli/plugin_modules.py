"""Which plug-ins a job uses: their modules belong to the code behind it.

Rules ask before a job runs and verbs when it does, and both get the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from valm.cli.registries import REGISTRIES
from valm.core.registry import Registry

Section = Mapping[str, Any]
Choices = Mapping[str, str | int]
Names = Iterable[tuple[str, str]]  # the key path of a registry and a name in it

CHAPTERS: Registry[object] = Registry("chapter", "valm.report.chapters")
# Verbs that read pictures or token states through the study's encoder.
THROUGH_THE_ENCODER = (
    "embed-pictures", "measure-recall", "find-neighbours", "show-pictures", "illustrate-task",
    "look-at-prompts", "write-viewer",
)  # fmt: skip


# What a model is trained with in place of a table, if its preset is online.
ONLINE = "valm.retrieve.online"


def _variant(section: Section) -> Names:
    (variant,) = section["models.variants"]
    yield "models.variants[].fusion", variant["fusion"]["name"]
    yield "models.variants[].pictures", variant["pictures"]
    yield "models.variants[].objective", variant["objective"]
    yield "models.trunk.architecture", section["models.trunk"]["architecture"]


def _evaluation(section: Section, choices: Choices) -> Names:
    yield from _variant(section)
    yield "evaluate.tasks", str(choices["task"])
    for control in section["evaluate.controls"]:
        yield "evaluate.controls", control


def _sights(section: Section) -> Names:
    for variant in section["models.variants"]:
        yield "models.variants[].fusion", variant["fusion"]["name"]
    for control in ("permuted", "none"):  # what takes the place of the retrieved pictures
        yield "evaluate.controls", control


def _voices(section: Section) -> Names:
    for variant in section["models.variants"]:
        yield "models.variants[].fusion", variant["fusion"]["name"]
        yield "models.variants[].pictures", variant["pictures"]
    for control in section["evaluate.controls"]:
        yield "evaluate.controls", control


def _baseline(section: Section) -> Names:
    (entry,) = section["evaluate.baselines"]
    yield "evaluate.baselines[].kind", entry["kind"]


USED: dict[str, Callable[[Section, Choices], Names]] = {
    "write-pictures": lambda _, choices: [("ingest.pictures.sources", str(choices["source"]))],
    "write-picture-shard": lambda _, choices: [("ingest.pictures.sources", str(choices["source"]))],
    "write-text": lambda _, choices: [("ingest.text.sources", str(choices["source"]))],
    "list-phrases": lambda _, choices: [("evaluate.tasks", str(choices["task"]))],
    "make-encoder": lambda section, _: [("embed.encoder", section["embed.encoder"]["name"])],
    "train-model": lambda section, _: _variant(section),
    "prepare-task": lambda _, choices: [("evaluate.tasks", str(choices["task"]))],
    "evaluate-model": _evaluation,
    "look-at-prompts": lambda section, _: _sights(section),
    "write-viewer": lambda section, _: _voices(section),
    "evaluate-baseline": lambda section, _: _baseline(section),
    "score-cell": _evaluation,
}


def plugin_modules(
    verb: str, section: Section, choices: Choices, encoder: str | None = None
) -> list[str]:
    """The modules of the plug-ins that a job uses.

    Args:
        verb: The job's verb.
        section: The nodes of the configuration that it is handed.
        choices: What it works on; a notebook is chosen by its chapter.
        encoder: Name of the encoder, for verbs that read through it.
    """
    named = list(USED[verb](section, choices)) if verb in USED else []
    retrieves = verb == "train-model" and "retrieve.presets" in section
    if encoder is not None and (retrieves or verb in THROUGH_THE_ENCODER):
        named.append(("embed.encoder", encoder))
    modules = [REGISTRIES[registry].module(name) for registry, name in named]
    if retrieves:
        modules.append(ONLINE)
    if verb == "run-notebook" and choices["chapter"] in CHAPTERS.names():
        modules.append(CHAPTERS.module(str(choices["chapter"])))
    return modules
