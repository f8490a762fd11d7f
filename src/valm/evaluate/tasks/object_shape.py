"""ObjectShape: ViComTe's shapes of objects (Zhang et al. 2022; VALM.md 6.4), the test sets.

The published column mixes two item sets: VaLM's and GPT-2*'s values fit the 101 objects with a single
shape, BERT's and its kin's all 140. Always answering "round" scores 80.2 % on the former, more than
any published value, and some labels are several tokens, of which only the first was compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from valm.evaluate.questions.accuracy_task import (
    CALIBRATED_LABEL_ACCURACY,
    FIRST_PIECE_ACCURACY,
    FULL_LABEL_ACCURACY,
    MACRO_F1,
)
from valm.evaluate.questions.data_files import label_place, read_json_lines
from valm.evaluate.questions.definitions import ChoiceTask, Question

SINGLE, ALL = "object_shape_single", "object_shape_all"
LABELS = (
    "round", "square", "triangle", "rectangle", "oval", "star", "heart", "polygon", "rhombus",
    "semicircle", "octagon", "cross",
)  # fmt: skip
PROMPTS = (
    "THING can be of shape",
    "THING has shape",
    "THING is of shape",
    "The shape of THING can be",
    "The shape of the THING is",
)
CONTENT_FREE = ("something", "it", "this thing")
METRICS = (FIRST_PIECE_ACCURACY, MACRO_F1, CALIBRATED_LABEL_ACCURACY, FULL_LABEL_ACCURACY)


class ObjectShape(ChoiceTask):
    """Which shape is it?"""

    licence = "none stated (derived from Visual Genome, CC BY 4.0)"
    choices = LABELS
    definitions = (
        *METRICS,
        *(
            replace(each, metric=f"{each.metric}_140", part="all", text=f"{each.text} All 140.")
            for each in METRICS
        ),
    )
    raw = (SINGLE, ALL)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Five questions an object for each of the sets that it is in: the 101 of one shape, all 140."""
        for thing in CONTENT_FREE:
            for prompt in PROMPTS:
                yield Question("", prompt, prompt.replace("THING", thing), -1)
        sets: dict[str, list[tuple[str, int]]] = {}
        for source, part in ((SINGLE, ""), (ALL, "all")):
            for where, values in read_json_lines(raw[source], ("sub", "obj")):
                answer = label_place(values["obj"], LABELS, where)
                sets.setdefault(values["sub"], []).append((part, answer))
        for thing, asked in sets.items():
            for part, answer in asked:
                for prompt in PROMPTS:
                    text = prompt.replace("THING", thing)
                    yield Question(thing, prompt, text, answer, part, things=(thing,))


PLUGIN = ObjectShape()
