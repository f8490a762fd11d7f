"""Texts with one label each, asked for by one prompt: sentiment and topic, ours and published."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from valm.evaluate.definitions import ChoiceTask, Question

# The prompts of the one public re-implementation (VALM.md 6.6); the official ones are unknown.
REVIEW_PROMPT = "Review: TEXT Sentiment:"
TOPIC_PROMPT = "input: TEXT type:"
WORDS = 30  # of each document: what a context of 64 tokens holds


class LabelledText(NamedTuple):
    """A text and its label's place among the task's choices."""

    item: str
    text: str
    answer: int


class LabelledTextTask(ChoiceTask):
    """One question a text.

    Attributes:
        prompt: Where "TEXT" stands for the text.
        words: The first so many words of a text are read; None: all.
    """

    prompt: str
    words: int | None = None

    @abstractmethod
    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All texts, in the order in which a sample takes them."""

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """The prompt without a text, then one question a text."""
        yield Question("", self.prompt, self.prompt.replace("TEXT ", ""), -1)
        for item, text, answer in self.texts(raw):
            read = " ".join(["", *text.split()[: self.words]])
            yield Question(item, self.prompt, self.prompt.replace(" TEXT", read), answer)
