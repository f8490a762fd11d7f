"""The study's own size probe: pairs of things, asked in both orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.definitions import ChoiceTask, Question
from valm.evaluate.questions.size_task import SIZE_METRICS, legacy_size_accuracy
from valm.evaluate.scores.metrics import LARGER_FIRST, SMALLER_FIRST
from valm.ingest.probes import YES_NO, size_pairs

PROMPTS = (
    "Is FIRST bigger than SECOND?",
    "Is FIRST larger than SECOND?",
    "Is FIRST taller than SECOND?",
    "FIRST is bigger than SECOND, is it true?",
)


class Size(ChoiceTask):
    """Is it larger?"""

    licence = "Apache-2.0 (written by the project)"
    choices = YES_NO
    definitions = (legacy_size_accuracy(LARGER_FIRST), *SIZE_METRICS)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Four questions a pair and order."""
        for pair in size_pairs():
            item = f"{pair.larger.name} / {pair.smaller.name}"
            orders = ((pair.larger, pair.smaller, LARGER_FIRST, "yes"),
                      (pair.smaller, pair.larger, SMALLER_FIRST, "no"))  # fmt: skip
            for first, second, part, answer in orders:
                for prompt in PROMPTS:
                    text = prompt.replace("FIRST", first.phrase).replace("SECOND", second.phrase)
                    things = (first.name, second.name)
                    yield Question(item, prompt, text, YES_NO.index(answer), part, things)


PLUGIN = Size()
