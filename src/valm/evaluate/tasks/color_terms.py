"""ColorTerms: 52 objects with a colour (Bruni et al. 2012; VALM.md 6.3).

The official code leaves the literal text "[DESCRIPTOR]" in every prompt of this set; "legacy" keeps
it, "corrected" drops it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from valm.evaluate.questions.accuracy_task import CALIBRATED_ACCURACY, LEGACY_ACCURACY
from valm.evaluate.questions.colour_prompts import colour_questions, content_free_questions
from valm.evaluate.questions.data_files import label_place, read_table
from valm.evaluate.questions.definitions import ChoiceTask, Question
from valm.ingest.probes import COLOURS

TABLE = "color_terms"
WITH_PLACEHOLDER = "with_placeholder"


class ColorTerms(ChoiceTask):
    """Which colour is it? Ten of the eleven words are labels; purple is none."""

    licence = "none stated"
    choices = tuple(colour for colour in COLOURS if colour != "purple")
    definitions = (
        replace(
            LEGACY_ACCURACY,
            part=WITH_PLACEHOLDER,
            text=f"{LEGACY_ACCURACY.text} '[DESCRIPTOR]' stays in the prompt.",
        ),
        CALIBRATED_ACCURACY,
    )
    raw = (TABLE,)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Nine questions an object and form."""
        yield from content_free_questions()
        for where, row in read_table(raw[TABLE], ("object", "color")):
            item, colour = row["object"].strip(), row["color"].strip()
            answer = label_place(colour, self.choices, where)
            yield from colour_questions(item, item, answer)
            yield from colour_questions(item, f"[DESCRIPTOR] {item}", answer, WITH_PLACEHOLDER)


PLUGIN = ColorTerms()
