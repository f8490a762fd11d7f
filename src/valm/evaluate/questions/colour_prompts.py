"""The nine prompts of the official colour evaluation, in the order of its code."""

from __future__ import annotations

from collections.abc import Iterator

from valm.evaluate.questions.definitions import Question

# The authoritative list is the code's (VALM.md 6.2). THING is descriptor and item.
PROMPTS = (
    "Q: What is the color of THING? A: It is",
    "What is the color of THING? It is",
    "What is the usual color of THING?",
    "What is the typical color of THING?",
    "The color of THING is",
    "The usual color of THING is",
    "The common color of THING is",
    "The typical color of THING is",
    "THING usually has the color of",
)
CONTENT_FREE = ("something", "it", "this thing")


def colour_questions(item: str, thing: str, answer: int, part: str = "") -> Iterator[Question]:
    """The nine questions about one thing."""
    for prompt in PROMPTS:
        text = prompt.replace("THING", thing)
        yield Question(item, prompt, text, answer, part, things=(item,) if item else ())


def content_free_questions() -> Iterator[Question]:
    """The nine questions about nothing in particular."""
    for thing in CONTENT_FREE:
        yield from colour_questions("", thing, -1)
