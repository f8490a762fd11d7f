"""What findings rest on: headline comparisons and scores, and what each opponent is a control for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from valm.report.words.comparisons import OWN, Comparison

COLOUR_TASKS = ("colour", "memory_color", "color_terms")
SEEN_TASKS = ("memory_color", "color_terms")


class Role(Enum):
    """What an opponent tells about the pictures: whether it is trained or evaluated with what."""

    NO_PICTURES = ("trained", "none")
    RANDOM = ("trained", "random")
    TEXT_STATE = ("trained", "text_state")
    PERMUTED = ("evaluated", "permuted")


@dataclass(frozen=True)
class Score:
    """One model's score on a task's headline metric, pooled over its seeds."""

    value: float
    low: float
    high: float
    majority: float | None = None


@dataclass(frozen=True)
class Evidence:
    """Headline comparisons and scores under one definition of the metrics.

    Attributes:
        comparisons: On each task's headline metric.
        scores: By task, model and control.
    """

    comparisons: Sequence[Comparison] = ()
    scores: Mapping[tuple[str, str, str], Score] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What the sentences need to know of the study.

    Attributes:
        trained_with: What each model was given in training, by model ("none", "retrieved", ...).
        notes_share: Share of the training tokens that are colour notes.
        pictures: Pictures that can be retrieved.
        unavailable: Why a task was not measured, by task.
    """

    trained_with: Mapping[str, str]
    notes_share: float = 0.0
    pictures: int = 0
    unavailable: Mapping[str, str] = field(default_factory=dict)


def role_of(opponent: tuple[str, str], setting: Setting) -> Role | None:
    """What an opponent is a control for."""
    model, control = opponent
    if control == OWN:
        told = ("trained", setting.trained_with.get(model, ""))
    else:
        told = ("evaluated", control)
    return Role(told) if told in {role.value for role in Role} else None


def roles_of(comparisons: Sequence[Comparison], setting: Setting) -> dict[Role, Comparison]:
    """The comparisons of one task by what their opponents are controls for."""
    return {role: c for c in comparisons if (role := role_of(c.second, setting)) is not None}
