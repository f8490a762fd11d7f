"""MemoryColor: 109 objects with a typical colour (Norlund et al. 2021; VALM.md 6.2)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.accuracy_task import ACCURACY
from valm.evaluate.colour_prompts import colour_questions, content_free_questions
from valm.evaluate.definitions import ChoiceTask, Question
from valm.ingest.probes import COLOURS

TABLE = "memory_color"


class MemoryColor(ChoiceTask):
    """Which colour do people remember it in? All 11 labels are the basic colour words."""

    licence = "none stated"
    choices = COLOURS
    definitions = ACCURACY
    raw = (TABLE,)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Nine questions an object; an empty descriptor leaves no second space."""
        yield from content_free_questions()
        with raw[TABLE].open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                item, descriptor = row["Item"].strip(), row["Descriptor"].strip()
                thing = f"{descriptor} {item}".strip()
                yield from colour_questions(item, thing, COLOURS.index(row["Color"].strip()))


PLUGIN = MemoryColor()
