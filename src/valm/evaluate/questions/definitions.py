"""What a task is: questions with candidate answers, or passages whose likelihood is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from valm.core.registry import Registry
from valm.ingest.text.tokens import TokenStream

Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Question:
    """A prompt that ends where the answer begins.

    Attributes:
        item: What is asked about; statistics are over items.
        prompt: The template, as tables name it.
        text: The prompt itself.
        answer: Place of the right answer among the task's choices; -1 for a content-free prompt,
            which measures how much a model prefers each answer whatever is asked.
        part: Which half or order it belongs to; empty if there is but one.
        things: Names of the things that it is about, whose own pictures the oracle control shows.
    """

    item: str
    prompt: str
    text: str
    answer: int
    part: str = ""
    things: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passage:
    """A text whose tokens are predicted one after the other.

    Attributes:
        item: What statistics are over; passages of one item and part are added up.
        text: The passage; its last word is what a last-word metric asks for.
        part: Where it comes from.
        words: Number of its words in the original text; None: the words of ``text``.
        pictures: Ids of the pictures that it came with.
    """

    item: str
    text: str
    part: str = ""
    words: int | None = None
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True)
class Definition:
    """What a metric measures, for the table that prints it.

    Attributes:
        metric: Its name within the task.
        definition: "legacy" (as published, with its quirks) or "corrected" (ours).
        text: One sentence.
        scorer: The function of ``valm.evaluate.scores.metrics`` that computes it.
        part: The part of the items that it is about.
        version: Raised whenever the same predictions would score otherwise.
    """

    metric: str
    definition: str
    text: str
    scorer: str
    part: str = ""
    version: int = 1


class Task(ABC):
    """A task; a module of ``valm.evaluate.tasks`` sets ``PLUGIN`` to an instance.

    Attributes:
        licence: Licence of its data, printed with its scores.
        definitions: Its metrics.
        raw: Names in ``config/sources.lock.yaml`` of the raw files that it reads.
        sample: How many items are evaluated, the first that it yields; None: all. The study's
            ``evaluate.samples`` may say otherwise.
    """

    licence: str
    definitions: tuple[Definition, ...]
    raw: tuple[str, ...] = ()
    sample: int | None = None


class ChoiceTask(Task):
    """Questions with the same few candidate answers.

    Attributes:
        choices: The candidate answers.
    """

    choices: tuple[str, ...]

    @abstractmethod
    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """All questions, item by item, the content-free ones first.

        Raises:
            InputError: A raw file is malformed, with its line.
        """


class TextTask(Task):
    """Passages whose perplexity (and last word) is measured."""

    @abstractmethod
    def passages(
        self, raw: Mapping[str, Path], test: TokenStream, decode: Decode
    ) -> Iterator[Passage]:
        """All passages, item by item.

        Args:
            test: The test split of the study's own text.
            decode: Turns its ids into text.

        Raises:
            InputError: A raw file is malformed, with its line.
        """


TASKS: Registry[Task] = Registry("task", "valm.evaluate.tasks")
