"""The study's own size probe: pairs of things, asked in both orders.

The official metric asks only "is the larger one larger?", so that always answering yes scores
100 % (VALM.md 6.5). Asked in both orders, a constant answer scores 50 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.definitions import ChoiceTask, Definition, Question
from valm.evaluate.metrics import LARGER_FIRST, SMALLER_FIRST
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
    definitions = (
        Definition(
            "accuracy",
            "legacy",
            "Share of prompts x pairs answered yes, the larger thing always named first.",
            scorer="larger_first",
        ),
        Definition(
            "accuracy",
            "corrected",
            "Share of right answers over both orders; a constant answer scores 50 %.",
            scorer="both_orders",
        ),
        Definition(
            "pair_consistency",
            "corrected",
            "Share of prompts x pairs with the right answer in both orders.",
            scorer="pair_consistency",
        ),
    )

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """Four questions a pair and order."""
        for pair in size_pairs():
            item = f"{pair.larger.name} / {pair.smaller.name}"
            orders = ((pair.larger, pair.smaller, LARGER_FIRST, "yes"),
                      (pair.smaller, pair.larger, SMALLER_FIRST, "no"))  # fmt: skip
            for first, second, part, answer in orders:
                for prompt in PROMPTS:
                    text = prompt.replace("FIRST", first.phrase).replace("SECOND", second.phrase)
                    yield Question(item, prompt, text, YES_NO.index(answer), part)


PLUGIN = Size()
