"""The findings in plain words, made from the statistics alone: no sentence says more than its interval.

Everything here is a pure function of tested differences (``valm.report.comparisons``) and of a few
facts about the study. What was not compared is said to be unknown; what the interval leaves open is
said to be not shown; a loss is said as plainly as a gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from valm.report.comparisons import Comparison, Verdict
from valm.report.numbers import interval, number, score, with_interval
from valm.report.style import model_label, task_label

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


@dataclass(frozen=True)
class Findings:
    """The headline, the paragraphs below it, and the differences that the headline rests on."""

    headline: str
    paragraphs: tuple[str, ...]
    key: tuple[Comparison, ...]


def findings(setting: Setting, corrected: Evidence, legacy: Evidence) -> Findings:
    """Say what the study shows.

    Args:
        setting: Facts about the study.
        corrected: What the findings rest on.
        legacy: What the official metrics say, which is told beside it.
    """
    mine = [c for c in corrected.comparisons if setting.trained_with.get(c.first[0]) == "retrieved"]
    task = next((t for t in COLOUR_TASKS if any(c.task == t for c in mine)), None)
    if task is None:
        return Findings(
            "This study has no comparison that could tell whether pictures help.",
            (what_it_is(setting),),
            (),
        )
    subject = next(c.first for c in mine if c.task == task)
    mine = [c for c in mine if c.first == subject]
    key = [c for c in mine if c.task == task]
    roles = {role: c for c in key if (role := role_of(c.second, setting)) is not None}
    paragraphs = [
        what_it_is(setting),
        " ".join(
            [
                *(_sentence(role, roles.get(role), corrected.scores) for role in Role),
                _majority(key[0], corrected.scores),
                _legacy(roles.get(Role.NO_PICTURES), legacy),
            ]
        ),
        _other_colour_tasks(task, mine, setting),
        _beyond_colour(mine, setting),
        _reading(key[0]),
    ]
    return Findings(headline(roles), tuple(p.strip() for p in paragraphs if p.strip()), tuple(key))


def role_of(opponent: tuple[str, str], setting: Setting) -> Role | None:
    """What an opponent is a control for."""
    model, control = opponent
    if control == "own":
        told = ("trained", setting.trained_with.get(model, ""))
    else:
        told = ("evaluated", control)
    return Role(told) if told in {role.value for role in Role} else None


def headline(roles: Mapping[Role, Comparison]) -> str:
    """One sentence: do pictures help, and is it their content?

    Help is claimed only if VaLM beats GPT-2*, the same model trained on random pictures, and
    itself with permuted pictures.
    """
    baseline = roles.get(Role.NO_PICTURES)
    if baseline is None:
        return "This study compares no model that reads pictures with one that does not."
    if baseline.verdict is Verdict.LOSS:
        return "Pictures do not help here: with them the model names colours worse than without."
    if baseline.verdict is Verdict.OPEN:
        return "This study does not show that looking at pictures helps to name colours."
    controls = [roles.get(role) for role in (Role.RANDOM, Role.PERMUTED)]
    if not all(c is not None and c.verdict is Verdict.GAIN for c in controls):
        return (
            "With pictures the model names colours better than without; that their content is the reason is"
            " not shown."
        )
    text_state = roles.get(Role.TEXT_STATE)
    if text_state is not None and text_state.verdict is Verdict.GAIN:
        return (
            "Retrieved pictures make the model name colours better; neither random pictures nor the"
            " text state do the same."
        )
    return (
        "Retrieved pictures make the model name colours better than random pictures do; that they tell"
        " more than the text state is not shown."
    )


def what_it_is(setting: Setting) -> str:
    """What the study is, before anything is said about its outcome."""
    notes = ""
    if setting.notes_share > 0:
        notes = (
            f" {number(100 * setting.notes_share, 1)} % of the training text are colour notes: template"
            " sentences whose colour was measured from the pixels of pictures."
        )
    return (
        "All models read the same text in the same order; some may in addition look at pictures,"
        f" retrieved for every token from {number(setting.pictures)}.{notes} The question is whether looking"
        " adds to this text, not what pictures could do in place of it."
    )


def difference(c: Comparison) -> str:
    """A difference with its interval, in words: ``+9.6 points [+5.6, +13.6]``."""
    unit = {"share": " points", "nats": " nats"}.get(c.unit, "")
    value = with_interval(c.difference, None, None, c.unit, sign=True)
    return f"{value}{unit} {interval(c.low, c.high, c.unit, sign=True)}"


def outcome(c: Comparison) -> str:
    """What may be concluded from one comparison, as the end of a sentence."""
    if c.verdict is Verdict.OPEN:
        if c.low <= 0 <= c.high:
            return "the interval includes zero, so no difference is shown"
        return "after correction for the number of tests no difference is shown"
    return "a gain is shown" if c.verdict is Verdict.GAIN else "a loss is shown"


def _sentence(
    role: Role, c: Comparison | None, scores: Mapping[tuple[str, str, str], Score]
) -> str:
    """The sentence about one opponent on the main colour task."""
    if c is None:
        return {
            Role.NO_PICTURES: "No model without pictures was compared.",
            Role.RANDOM: "No model trained on random pictures was compared, so what extra parameters do alone is unknown.",
            Role.TEXT_STATE: "The text state in place of pictures was not compared.",
            Role.PERMUTED: "Permuted pictures were not compared.",
        }[role]
    first, second = (scores.get((c.task, *side)) for side in (c.first, c.second))
    name = model_label(*c.first)
    if role is Role.NO_PICTURES:
        values = f" differs by {difference(c)}"
        if first and second:
            values = (
                f" scores {score(first.value, c.unit)} % and {model_label(*c.second)}"
                f" {score(second.value, c.unit)} %, a difference of {difference(c)}"
            )
        return f"On {_task_in_text(c)}, {name}{values}: {outcome(c)}."
    text = {
        Role.RANDOM: "Against the same model trained on random pictures, which has the same parameters but nothing"
        f" to learn from them, the difference is {difference(c)}: {outcome(c)}.",
        Role.TEXT_STATE: "Against a model that is given the encoder's own reading of the text in place of"
        f" pictures, with the same colour information, it is {difference(c)}: {outcome(c)}.",
        Role.PERMUTED: f"Between {name} with its own pictures and the same {name} handed wrong ones at evaluation"
        f" (the image base permuted) it is {difference(c)}: {_dependence(c)}.",
    }
    return text[role]


def _dependence(c: Comparison) -> str:
    if c.verdict is Verdict.GAIN:
        return "its answers do depend on the right pictures"
    if c.verdict is Verdict.LOSS:
        return "the right pictures make it worse than wrong ones"
    return "that its answers depend on the right pictures is not shown"


def _majority(c: Comparison, scores: Mapping[tuple[str, str, str], Score]) -> str:
    """Whether the model beats always giving the most frequent answer."""
    own = scores.get((c.task, *c.first))
    if own is None or own.majority is None:
        return ""
    constant = f"Always naming the most frequent colour would score {score(own.majority, c.unit)} %"
    if own.low > own.majority:
        return f"{constant}, which {model_label(*c.first)}'s interval {interval(own.low, own.high, c.unit)} exceeds."
    if own.high < own.majority:
        return f"{constant}, more than {model_label(*c.first)} does {interval(own.low, own.high, c.unit)}."
    return f"{constant}; that {model_label(*c.first)} does better {interval(own.low, own.high, c.unit)} is not shown."


def _legacy(corrected: Comparison | None, legacy: Evidence) -> str:
    """What the official metric says of the same pair on the same task."""
    found = [
        c
        for c in legacy.comparisons
        if corrected
        and (c.task, c.first, c.second) == (corrected.task, corrected.first, corrected.second)
    ]
    if not found:
        return ""
    (c,) = found
    own = legacy.scores.get((c.task, *c.first))
    constant = ""
    if own and own.majority is not None:
        constant = f"; {model_label(*c.first)} scores {score(own.value, c.unit)} %, a constant answer {score(own.majority, c.unit)} %"
    return f"By the official metric, uncalibrated, the difference to {model_label(*c.second)} is {difference(c)}: {outcome(c)}{constant}."


def _other_colour_tasks(main: str, mine: Sequence[Comparison], setting: Setting) -> str:
    """The other colour sets, which the history of the recipe has seen, reported once."""
    parts = []
    for task in COLOUR_TASKS:
        rows = [
            f"{difference(c)} {_against(c, setting)} ({c.verdict})" for c in mine if c.task == task
        ]
        if task == main:
            continue
        if rows:
            parts.append(f"On {task_label(task)} the differences are {_listed(rows)}.")
        elif task in setting.unavailable:
            parts.append(f"{task_label(task)} was not measured: {setting.unavailable[task]}.")
    if any(c.task in SEEN_TASKS for c in mine):
        parts.append(
            "MemoryColor and ColorTerms were looked at while earlier recipes were made: they are reported once,"
            " after the recipe was fixed, and count as seen."
        )
    return " ".join(parts)


def _beyond_colour(mine: Sequence[Comparison], setting: Setting) -> str:
    """The other tasks, against the model without pictures and the one with random pictures."""
    rest = [
        c
        for c in mine
        if c.task not in COLOUR_TASKS
        and role_of(c.second, setting) in (Role.NO_PICTURES, Role.RANDOM)
    ]
    shown = [
        f"{_named(c)}, {difference(c)} {_against(c, setting)} ({c.verdict})"
        for c in rest
        if c.verdict is not Verdict.OPEN
    ]
    tasks = dict.fromkeys(c.task for c in rest)
    silent = [t for t in tasks if all(c.verdict is Verdict.OPEN for c in rest if c.task == t)]
    parts = [f"Beyond colour: {'; '.join(shown)}."] if shown else []
    if silent:
        names = _listed([task_label(task).lower() for task in silent])
        parts.append(
            f"On {names} no difference is shown against models without pictures or with random ones, in either direction."
        )
    return " ".join(parts)


def _named(c: Comparison) -> str:
    """The task, and the metric where it is no share of right answers."""
    name = task_label(c.task).lower()
    return name if c.unit == "share" else f"{name} ({c.metric})"


def _listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _against(c: Comparison, setting: Setting) -> str:
    short = {
        Role.NO_PICTURES: f"against {model_label(*c.second)}",
        Role.RANDOM: "against random pictures in training",
        Role.TEXT_STATE: "against the text state",
        Role.PERMUTED: "against permuted pictures",
    }
    role = role_of(c.second, setting)
    return short[role] if role else f"against {model_label(*c.second)}"


def _task_in_text(c: Comparison) -> str:
    if c.task == "colour":
        return f"the test half of the project's own colour probe ({number(c.n)} things, none used to choose the recipe)"
    return f"{task_label(c.task)} ({number(c.n)} things)"


def _reading(c: Comparison) -> str:
    return (
        f"Scores are pooled over prompts and {c.seeds} {'seed' if c.seeds == 1 else 'seeds'} of each model before"
        " items are compared in pairs; intervals come from resampling the items, not the seeds, whose own scores"
        " stand beside. P values are corrected by Holm's method. The models are small: an effect is shown for these"
        " models on these items, no further."
    )
