"""Plausible scores, tests and answers: how the models of ``results`` compare, by a story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

OBJECTS = {
    "banana": "yellow", "tomato": "red", "frog": "green", "elephant": "grey", "carrot": "orange",
    "snow": "white", "whale": "blue", "plum": "purple", "coal": "black", "flamingo": "pink",
    "bear": "brown", "lemon": "yellow",
}  # fmt: skip
RGB = {
    "yellow": (240, 200, 40), "red": (205, 50, 45), "green": (60, 145, 65), "grey": (140, 145, 150),
    "orange": (238, 138, 31), "white": (245, 245, 245), "blue": (53, 114, 198), "purple": (130, 80, 168),
    "black": (30, 30, 30), "pink": (240, 143, 180), "brown": (138, 90, 52),
}  # fmt: skip
MODELS = {
    "gpt2_star": "none",
    "valm": "retrieved",
    "valm_random": "random",
    "valm_text_state": "text_state",
}
CONTROLS = ("permuted", "random", "zero")


@dataclass(frozen=True)
class Story:
    """How the models compare on the colour tasks: VaLM's share minus the other's."""

    gains: Mapping[str, float] = field(
        default_factory=lambda: {
            "gpt2_star:own": 0.096,
            "valm_random:own": 0.08,
            "valm_text_state:own": 0.03,
            "valm:permuted": 0.082,
        }
    )
    half_width: float = 0.04
    valm: float = 0.29


TASKS = {
    "colour": ("accuracy", "share", 0.091, 0.21, 900),
    "memory_color": ("accuracy", "share", 0.091, 0.229, 981),
    "shape": ("accuracy", "share", 0.2, 0.55, 300),
    "size": ("accuracy", "share", 0.5, 0.5, 720),
    "held_out_text": ("perplexity", "perplexity", None, None, 30_000),
}
BEYOND_COLOUR = 0.004  # what every other task differs by: nothing that an interval could carry


def scores(story: Story) -> pl.DataFrame:
    """``scores.parquet``: both definitions, two seeds, VaLM's controls; one task is unavailable."""
    rows = []
    for task, (metric, unit, chance, majority, n) in TASKS.items():
        for definition in ("legacy", "corrected"):
            for model, control in _contestants():
                for seed, shift in ((1, -0.01), (2, 0.01), (-1, 0.0)):
                    value, half = _value(story, task, model, control) + shift, story.half_width / 2
                    if unit == "perplexity":
                        value, half = 60 * (1 - value / 10), 0.6
                    rows.append(
                        {
                            "task": task, "metric": metric, "definition": definition, "version": 1, "model": model,
                            "control": control, "seed": seed, "value": value, "low": value - half,
                            "high": value + half, "seed_spread": None if seed > 0 else 0.014,
                            "prompt_spread": None if seed > 0 or unit != "share" else 0.04, "n": n, "chance": chance, "majority": majority,
                            "higher_is_better": unit == "share", "unit": unit, "status": "measured",
                            "note": f"What {metric} is.", "licence": "Apache-2.0",
                        }
                    )  # fmt: skip
    unavailable = dict.fromkeys(rows[0]) | {
        "task": "color_terms", "metric": "accuracy", "definition": "corrected", "version": 1, "seed": -1,
        "status": "unavailable", "note": "its data could not be reached", "licence": "",
    }  # fmt: skip
    return pl.DataFrame([*rows, unavailable], infer_schema_length=None)


def comparisons(story: Story) -> pl.DataFrame:
    """``comparisons.parquet``: VaLM against each opponent of the story, on each task."""
    rows = []
    kinds = [
        (*kind, definition) for kind in TASKS.items() for definition in ("legacy", "corrected")
    ]
    for task, (metric, unit, *_, n), definition in kinds:
        for opponent in story.gains:
            model, control = opponent.split(":")
            gain = _value(story, task, "valm", "own") - _value(story, task, model, control)
            if unit == "perplexity":
                gain = -gain
            shown = abs(gain) > story.half_width
            rows.append(
                {
                    "task": task, "metric": metric, "definition": definition, "first_model": "valm",
                    "first_control": "own", "second_model": model, "second_control": control,
                    "difference": gain, "low": gain - story.half_width, "high": gain + story.half_width,
                    "p": 0.0005 if shown else 0.4, "p_holm": 0.002 if shown else 0.8, "n": n, "seeds": 2,
                }
            )  # fmt: skip
    return pl.DataFrame(rows)


def _contestants() -> list[tuple[str, str]]:
    return [(model, "own") for model in MODELS] + [("valm", control) for control in CONTROLS]


def _value(story: Story, task: str, model: str, control: str) -> float:
    if (model, control) == ("valm", "own"):
        return story.valm
    if task not in ("colour", "memory_color"):
        return story.valm - BEYOND_COLOUR
    return story.valm - story.gains.get(f"{model}:{control}", story.gains.get("valm:permuted", 0.0))


def per_prompt(story: Story) -> pl.DataFrame:
    generator = np.random.default_rng(2)
    rows = [
        {
            "task": task, "metric": "accuracy", "definition": definition, "model": model, "control": control,
            "seed": seed, "prompt": f"prompt {number}: the color of [ITEM] is", "n": 100,
            "value": float(np.clip(_value(story, task, model, control) + generator.normal(0, 0.04), 0, 1)),
        }
        for task in ("colour", "memory_color")
        for definition in ("legacy", "corrected")
        for model, control in _contestants()
        for seed in (1, 2)
        for number in range(9)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def answers(story: Story, model: str) -> pl.DataFrame:
    """``colour.parquet``: log-probabilities of the candidates, higher for what the model knows."""
    generator = np.random.default_rng(3)
    rows = []
    for item, colour in [("", ""), *OBJECTS.items()]:
        for prompt in ("The color of THING is", "What is the color of THING?"):
            for seed in (1, 2):
                places = generator.normal(0, 1, len(RGB))
                gold = list(RGB).index(colour) if item else -1
                if item:
                    places[gold] += 10 * _value(story, "colour", model, "own") - 1
                labels = {
                    "item": item,
                    "prompt": prompt,
                    "answer": gold,
                    "part": "",
                    "seed": seed,
                    "control": "own",
                }
                rows.append(
                    labels | {f"choice_{place}": value for place, value in enumerate(places)}
                )
    return pl.DataFrame(rows)
