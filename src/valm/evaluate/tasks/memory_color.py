"""MemoryColor: 109 objects with a typical colour (Norlund et al. 2021; VALM.md 6.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import ACCURACY
from valm.evaluate.questions.colour_prompts import colour_questions, content_free_questions
from valm.evaluate.questions.data_files import label_place, read_table
from valm.evaluate.questions.definitions import ChoiceTask, Question
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
        columns = ("Index", "Descriptor", "Item", "Color")
        for where, row in read_table(raw[TABLE], columns, may_be_empty=("Descriptor",)):
            item, descriptor = row["Item"].strip(), row["Descriptor"].strip()
            answer = label_place(row["Color"].strip(), COLOURS, where)
            yield from colour_questions(item, f"{descriptor} {item}".strip(), answer)


PLUGIN = MemoryColor()
