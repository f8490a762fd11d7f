"""The sentences of the findings, each from the comparisons that it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from valm.report.figures.style import metric_label, model_label, task_label
from valm.report.words.comparisons import Comparison, Verdict
from valm.report.words.evidence import (
    COLOUR_TASKS,
    SEEN_TASKS,
    Evidence,
    Role,
    Score,
    Setting,
    role_of,
    roles_of,
)
from valm.report.words.numbers import interval, number, score, with_interval

Scores = Mapping[tuple[str, str, str], Score]  # by task, model and control

NOT_COMPARED = {
    Role.NO_PICTURES: "No model without pictures was compared.",
    Role.RANDOM: "No model trained on random pictures was compared, so what its extra parameters do alone is unknown.",
    Role.TEXT_STATE: "The text state in place of pictures was not compared.",
    Role.PERMUTED: "Permuted pictures were not compared.",
}


def what_it_is(setting: Setting) -> str:
    """What the study is, before anything is said about its outcome."""
    notes = ""
    if setting.notes_share > 0:
        notes = (
            f" Colour notes make up {number(100 * setting.notes_share, 1)} % of it: template sentences whose colour"
            " was measured from the pixels of pictures."
        )
    return (
        f"All models read the same text in the same order.{notes} Some may in addition look at pictures: the few"
        f" nearest of {number(setting.pictures)}, retrieved for every token. The question is whether looking adds to"
        " this text, not what pictures could do in its place."
    )


def main_task(
    key: Sequence[Comparison], setting: Setting, corrected: Evidence, legacy: Evidence
) -> str:
    """The paragraph on the main colour task: each opponent, then what a constant answer scores."""
    if not key:
        return ""
    roles = roles_of(key, setting)
    sentences = [
        _against_control(role, roles[role], corrected.scores)
        if role in roles
        else NOT_COMPARED[role]
        for role in Role
    ]
    sentences.append(_other_models(key, setting))
    sentences.append(_majority(key[0], corrected.scores))
    sentences.append(_legacy(roles.get(Role.NO_PICTURES), legacy))
    return " ".join(sentence for sentence in sentences if sentence)


def other_pairs(rows: Sequence[Comparison], setting: Setting) -> str:
    """The tested pairs whose first model is another than the one that the findings are about."""
    told = [
        f"{model_label(*c.first)} {_against(c, setting)}, {difference(c)} ({c.verdict})"
        for c in rows
    ]
    return f"Between other models: {'; '.join(told)}." if told else ""


def other_colour_tasks(
    main: str | None, mine: Sequence[Comparison], setting: Setting, scores: Scores
) -> str:
    """The other colour sets, which the history of the recipe has seen, reported once."""
    parts = []
    for task in COLOUR_TASKS:
        tested = [c for c in mine if c.task == task]
        rows = [f"{difference(c)} {_against(c, setting)} ({c.verdict})" for c in tested]
        if task == main:
            continue
        if rows:
            parts.append(f"On {task_label(task)} the differences are {_listed(rows)}.")
            parts.append(_majority(tested[0], scores))
        elif task in setting.unavailable:
            parts.append(f"{task_label(task)} was not measured: {setting.unavailable[task]}.")
    if any(c.task in SEEN_TASKS for c in mine):
        parts.append(
            "MemoryColor and ColorTerms were looked at while earlier recipes were made: they are reported once,"
            " after the recipe was fixed, and count as seen."
        )
    return " ".join(filter(None, parts))


def beyond_colour(mine: Sequence[Comparison], setting: Setting, scores: Scores) -> str:
    """The other tasks, against every opponent.

    A task on which anything is shown is told in full: a gain over one opponent never hides that
    none is shown over the other. Nor does a missing difference hide that a model may just not be
    able to do the task.
    """
    rest = [c for c in mine if c.task not in COLOUR_TASKS]
    told, silent = [], []
    for task in dict.fromkeys(c.task for c in rest):
        rows = [c for c in rest if c.task == task]
        if all(c.verdict is Verdict.OPEN for c in rows):
            silent.append(task_label(task).lower())
        else:
            parts = [f"{difference(c)} {_against(c, setting)} ({c.verdict})" for c in rows]
            told.append(f"{_named(rows[0])}, {_listed(parts)}")
    sentences = [f"Beyond colour: {'; '.join(told)}."] if told else []
    if silent:
        sentences.append(
            f"On {_listed(silent)} no difference to any of these opponents is shown, in either direction."
        )
    sentences.append(_no_better_than_constant(rest, scores))
    return " ".join(filter(None, sentences))


def _no_better_than_constant(rest: Sequence[Comparison], scores: Scores) -> str:
    """The tasks on which the most frequent answer, always given, may do as well."""
    subjects = dict.fromkeys((c.task, *c.first) for c in rest)
    tasks = [
        task_label(key[0]).lower()
        for key in subjects
        if (own := scores.get(key)) and own.majority is not None and own.low <= own.majority
    ]
    if not tasks:
        return ""
    name = model_label(*rest[0].first)
    return f"That {name} does better than always giving the most frequent answer is not shown on {_listed(tasks)}."


def how_to_read(c: Comparison) -> str:
    """What the numbers are, and how far they reach."""
    return (
        f"Scores are pooled over prompts and {c.seeds} {'seed' if c.seeds == 1 else 'seeds'} of each model before"
        " items are compared in pairs; intervals come from resampling the items, not the seeds, whose own scores"
        " stand beside. P values are corrected by Holm's method. The models are small: an effect is shown for these"
        " models on these items, no further."
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


def _against_control(role: Role, c: Comparison, scores: Scores) -> str:
    """The sentence about one opponent on the main colour task."""
    name, found = model_label(*c.first), difference(c)
    if role is Role.RANDOM:
        return (
            "Against the same model trained on random pictures, which has the same parameters but nothing to learn"
            f" from them, the difference is {found}: {outcome(c)}."
        )
    if role is Role.TEXT_STATE:
        return (
            "Against a model that is given the encoder's own reading of the text in place of pictures, with the same"
            f" colour information, it is {found}: {outcome(c)}."
        )
    if role is Role.PERMUTED:
        return (
            f"Between {name} with its own pictures and the same {name} handed wrong ones at evaluation (the picture"
            f" base permuted) it is {found}: {_dependence(c)}."
        )
    first, second = (scores.get((c.task, *side)) for side in (c.first, c.second))
    values = f"differs by {found}"
    if first and second:
        values = (
            f"scores {score(first.value, c.unit)} % and {model_label(*c.second)} {score(second.value, c.unit)} %,"
            f" a difference of {found}"
        )
    return f"On {_task_in_text(c)}, {name} {values}: {outcome(c)}."


def _dependence(c: Comparison) -> str:
    if c.verdict is Verdict.GAIN:
        return "its answers do depend on the right pictures"
    if c.verdict is Verdict.LOSS:
        return "the right pictures make it worse than wrong ones"
    return "that its answers depend on the right pictures is not shown"


def _other_models(key: Sequence[Comparison], setting: Setting) -> str:
    """The sentence about opponents that are no control: models that differ in something else."""
    rows = [
        f"{difference(c)} {_against(c, setting)} ({c.verdict})"
        for c in key
        if role_of(c.second, setting) is None
    ]
    verb = "difference is" if len(rows) == 1 else "differences are"
    return f"Beside other models the {verb} {_listed(rows)}." if rows else ""


def _majority(c: Comparison, scores: Scores) -> str:
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


def _named(c: Comparison) -> str:
    """The task, and the metric where it is no share of right answers."""
    name = task_label(c.task).lower()
    if c.unit == "share":
        return name
    better = "higher" if c.higher_is_better else "lower"
    return f"{name} ({metric_label(c.metric)}, {better} is better)"


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
