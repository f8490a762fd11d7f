"""The study's own shape probe, in the five templates of ViComTe's shape probe (VALM.md 6.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import SKEWED_ACCURACY
from valm.evaluate.questions.definitions import ChoiceTask, Question
from valm.ingest.probes import SHAPES, shaped_things

PROMPTS = (
    "THING can be of shape",
    "THING has shape",
    "THING is of shape",
    "The shape of THING can be",
    "The shape of THING is",
)
CONTENT_FREE = ("something", "it", "this thing")


class Shape(ChoiceTask):
    """Which shape is it?"""

    licence = "Apache-2.0 (written by the project)"
    choices = SHAPES
    definitions = SKEWED_ACCURACY

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Five questions a thing."""
        for thing in CONTENT_FREE:
            for prompt in PROMPTS:
                yield Question("", prompt, prompt.replace("THING", thing), -1)
        for one in shaped_things():
            answer = SHAPES.index(one.shape)
            for prompt in PROMPTS:
                text = prompt.replace("THING", one.thing.phrase)
                name = one.thing.name
                yield Question(name, prompt, text, answer, things=(name,))


PLUGIN = Shape()
