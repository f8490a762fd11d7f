"""RelativeSize: 486 pairs of 41 objects, the larger first (Bagherinezhad et al. 2016; VALM.md 6.5).

The published metric asks only whether the larger one is larger, so always answering yes scores
100 %; and two commas are missing in the official list of prompts, which fuses its last three into one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.errors import InputError
from valm.evaluate.questions.data_files import CURE, read_lines
from valm.evaluate.questions.definitions import ChoiceTask, Question
from valm.evaluate.questions.size_task import (
    CALIBRATED_BOTH_ORDERS,
    SIZE_METRICS,
    legacy_size_accuracy,
)
from valm.evaluate.scores.metrics import LARGER_FIRST, SMALLER_FIRST
from valm.ingest.probes import YES_NO

TABLE = "relative_size"
AS_PUBLISHED = "as_published"
QUESTIONS = tuple(f"Is FIRST {word} than SECOND?" for word in ("bigger", "larger", "taller"))
STATEMENTS = tuple(
    f"FIRST is {word} than SECOND, is it true?" for word in ("bigger", "larger", "taller")
)
FUSED = "".join(STATEMENTS)
CONTENT_FREE = ("something", "it", "this thing")


class RelativeSize(ChoiceTask):
    """Is it larger?"""

    licence = "none stated"
    choices = YES_NO
    definitions = (
        legacy_size_accuracy(AS_PUBLISHED, "Two missing commas fuse three of its six prompts."),
        *SIZE_METRICS,
        CALIBRATED_BOTH_ORDERS,
    )
    raw = (TABLE,)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """The four official prompts a pair, then the six that were meant in both orders."""
        for thing in CONTENT_FREE:
            yield from _asked("", thing, thing, "", -1, (*QUESTIONS, *STATEMENTS))
        for where, line in read_lines(raw[TABLE]):
            names = line.split()
            if len(names) != 2:
                raise InputError(f"{len(names)} names, expected a pair", where=where, cure=CURE)
            (larger, smaller), item = names, " / ".join(names)
            yes, no = YES_NO.index("yes"), YES_NO.index("no")
            yield from _asked(item, larger, smaller, AS_PUBLISHED, yes, (*QUESTIONS, FUSED))
            yield from _asked(item, larger, smaller, LARGER_FIRST, yes, (*QUESTIONS, *STATEMENTS))
            yield from _asked(item, smaller, larger, SMALLER_FIRST, no, (*QUESTIONS, *STATEMENTS))


def _asked(
    item: str, first: str, second: str, part: str, answer: int, prompts: tuple[str, ...]
) -> Iterator[Question]:
    things = (first, second) if item else ()
    for prompt in prompts:
        text = prompt.replace("FIRST", first).replace("SECOND", second)
        yield Question(item, prompt, text, answer, part, things)


PLUGIN = RelativeSize()
