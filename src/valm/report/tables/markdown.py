"""Tables as Markdown, for the cards that travel with data and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from valm.report.words.numbers import NOTHING

# A cell is text from anywhere: nothing in it is read as HTML, a link or the end of the cell.
ESCAPES = {"\\": "\\\\", "&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "](": "]\\("}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; None becomes a dash."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(markdown_text, line)) + " |" for line in lines)


def markdown_text(value: Any) -> str:
    """A value as one line of text without markup."""
    text = NOTHING if value is None else " ".join(str(value).split())
    for sign, escaped in ESCAPES.items():  # in this order: the first two are what the others add
        text = text.replace(sign, escaped)
    return text
