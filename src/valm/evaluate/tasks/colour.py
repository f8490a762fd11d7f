"""The study's own colour probe: everyday things and their one typical colour, in two halves.

Designs are compared on the dev half ("accuracy_dev"); "accuracy" is the test half, which is looked
at when a recipe is frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from valm.evaluate.questions.accuracy_task import ACCURACY
from valm.evaluate.questions.colour_prompts import colour_questions, content_free_questions
from valm.evaluate.questions.definitions import ChoiceTask, Question
from valm.ingest.probes import COLOURS, coloured_things


class Colour(ChoiceTask):
    """Which colour is it?"""

    licence = "Apache-2.0 (written by the project)"
    choices = COLOURS
    definitions = (
        *ACCURACY,
        *(
            replace(each, metric="accuracy_dev", part="dev", text=f"Dev half. {each.text}")
            for each in ACCURACY
        ),
    )

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Nine questions a thing, in the halves "test" and "dev"."""
        yield from content_free_questions()
        for one in coloured_things():
            part = "" if one.half == "test" else "dev"
            answer = COLOURS.index(one.colour)
            yield from colour_questions(one.thing.name, one.thing.phrase, answer, part)


PLUGIN = Colour()
