"""Texts with one label each, asked for by one prompt: sentiment and topic, ours and published."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from valm.evaluate.questions.definitions import ChoiceTask, Definition, Question

# The prompts of the one public re-implementation (VALM.md 6.6); the official ones are unknown.
REVIEW_PROMPT = "Review: TEXT Sentiment:"
TOPIC_PROMPT = "input: TEXT type:"
WORDS = 30  # of each document: what a context of 64 tokens holds
WHOLE = "whole_text"


class LabelledText(NamedTuple):
    """A text and its label's place among the task's choices."""

    item: str
    text: str
    answer: int


class LabelledTextTask(ChoiceTask):
    """One question a text; its definitions say how much of a text is read.

    Args:
        words: The first so many words of a text are read; None: all.

    Attributes:
        prompt: Where "TEXT" stands for the text.
        published_whole: Whether the published definition reads all of a text: then it is asked
            beside ours, about whole texts, of which a model's context keeps the end.
    """

    prompt: str
    published_whole: ClassVar[bool] = False

    def __init__(self, words: int | None = None):
        self.words = words
        if words is not None:
            self.definitions = tuple(map(self._named, type(self).definitions))

    def reading(self, words: int | None) -> Self:
        """The same task with another number of words of each text."""
        return type(self)(words)

    @abstractmethod
    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All texts, in the order in which a sample takes them."""

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """The prompt without a text, then one question a text."""
        yield Question("", self.prompt, self.prompt.replace("TEXT ", ""), -1)
        for item, text, answer in self.texts(raw):
            yield Question(item, self.prompt, self._asked(text, self.words), answer)
            if self._asks_whole:
                yield Question(item, self.prompt, self._asked(text, None), answer, WHOLE)

    @property
    def _asks_whole(self) -> bool:
        return self.published_whole and self.words is not None

    def _asked(self, text: str, words: int | None) -> str:
        return self.prompt.replace(" TEXT", " ".join(["", *text.split()[:words]]))

    def _named(self, definition: Definition) -> Definition:
        """A definition that says what it reads."""
        if self._asks_whole and definition.definition == "legacy":
            text = f"{definition.text} Whole texts; a context keeps the end."
            return replace(definition, text=text, part=WHOLE, version=definition.version + 1)
        text = f"{definition.text} The first {self.words} words of each text."
        return replace(definition, text=text)
