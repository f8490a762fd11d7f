"""The findings in plain words, made from the statistics alone: nothing exceeds its interval.

Everything here is a pure function of tested differences (``valm.report.words.comparisons``) and of a few
facts about the study. What was not compared is said to be unknown; what the interval leaves open is
said to be not shown; a loss is said as plainly as a gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from valm.report.words.comparisons import Comparison, Verdict
from valm.report.words.evidence import COLOUR_TASKS, Evidence, Role, Setting, roles_of
from valm.report.words.sentences import (
    beyond_colour,
    how_to_read,
    main_task,
    other_colour_tasks,
    other_pairs,
    what_it_is,
)


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
    tested = [
        c for c in corrected.comparisons if setting.trained_with.get(c.first[0]) == "retrieved"
    ]
    if not tested:
        alone = "This study has no comparison that could tell whether pictures help."
        return Findings(alone, (what_it_is(setting),), ())
    task = next((t for t in COLOUR_TASKS if any(c.task == t for c in tested)), None)
    subject = next(c.first for c in tested if task in (None, c.task))
    mine = [c for c in tested if c.first == subject]
    key = [c for c in mine if c.task == task]
    others = [c for c in corrected.comparisons if c.task == task and c.first != subject]
    paragraphs = [
        what_it_is(setting),
        main_task(key, setting, corrected, legacy),
        other_pairs(others, setting),
        other_colour_tasks(task, mine, setting, corrected.scores),
        beyond_colour(mine, setting, corrected.scores),
        how_to_read(mine[0]),
    ]
    first = DISAGREE if colours_disagree(mine, setting) else headline(roles_of(key, setting))
    return Findings(first, tuple(text for text in paragraphs if text), tuple(key))


DISAGREE = "The colour tests disagree: pictures help on one and harm on another."


def colours_disagree(comparisons: Sequence[Comparison], setting: Setting) -> bool:
    """Whether one colour task shows a gain over the model without pictures, and another a loss."""
    verdicts = set()
    for task in COLOUR_TASKS:
        roles = roles_of([c for c in comparisons if c.task == task], setting)
        if Role.NO_PICTURES in roles:
            verdicts.add(roles[Role.NO_PICTURES].verdict)
    return {Verdict.GAIN, Verdict.LOSS} <= verdicts


def headline(roles: Mapping[Role, Comparison]) -> str:
    """One sentence: do pictures help, and is it their content?

    Help is claimed only if the model beats the one without pictures, the one trained on random
    pictures, and itself with permuted pictures.
    """
    baseline = roles.get(Role.NO_PICTURES)
    if baseline is None:
        return "This study does not compare a model with and one without pictures on colours."
    if baseline.verdict is Verdict.LOSS:
        return "Pictures do not help here: with them the model names colours worse than without."
    if baseline.verdict is Verdict.OPEN:
        return "This study does not show that looking at pictures helps to name colours."
    controls = [roles[role] for role in (Role.RANDOM, Role.PERMUTED) if role in roles]
    better = "With pictures the model names colours better than without"
    if any(c.verdict is not Verdict.GAIN for c in controls):
        return f"{better}; that their content is the reason is not shown."
    if len(controls) < 2:
        return f"{better}; whether their content is the reason was not tested in full."
    text_state = roles.get(Role.TEXT_STATE)
    help_of_pictures = "Retrieved pictures make the model name colours better"
    if text_state is None:
        return f"{help_of_pictures} than random pictures do; the text state was not compared."
    return {
        Verdict.GAIN: f"{help_of_pictures}; neither random pictures nor the text state do the same.",
        Verdict.LOSS: f"{help_of_pictures} than random pictures do, but the text state alone does better.",
        Verdict.OPEN: f"{help_of_pictures} than random pictures do; that they tell more than the text state"
        " is not shown.",
    }[text_state.verdict]
