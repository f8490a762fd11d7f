"""What a reader looks at: a table, a figure, a passage of text. Each shows itself in a notebook.

An exhibit is finished HTML: whatever it quotes (captions, documents, names) is escaped already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import polars as pl

from valm.report.links import without_links


@dataclass(frozen=True)
class Passage:
    """Finished HTML without data of its own: a paragraph, a grid of pictures."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


@dataclass(frozen=True)
class Table:
    """A table in three notations, and the frame of plain numbers behind it, which becomes a CSV file.

    In ``html`` a number is a link to the artifact that made it (``valm.report.links``).
    """

    name: str
    caption: str
    html: str = field(repr=False)
    frame: pl.DataFrame = field(repr=False)
    latex: str = field(repr=False)
    markdown: str = field(repr=False)

    def _repr_html_(self) -> str:
        return _framed("table", self.name, without_links(self.html), self.caption)

    @property
    def linked_html(self) -> str:
        """What a notebook shows, with the links, which lead from the report's folder only."""
        return _framed("table", self.name, self.html, self.caption)


@dataclass(frozen=True)
class Figure:
    """A figure as standalone SVG text."""

    name: str
    caption: str
    svg: str = field(repr=False)

    def _repr_html_(self) -> str:
        return _framed("figure", self.name, inline_svg(self), self.caption)


Exhibit = Passage | Table | Figure


def opening(study: str) -> Passage:
    """The line above a notebook's first exhibit: which study this is."""
    return Passage(f'<p class="kicker">Study {escape(study)}</p>')


def missing(what: str) -> Passage:
    """What stands where a study has nothing to show."""
    return Passage(f'<p class="missing">This study has no {escape(what)}.</p>')


def paragraphs(*texts: str) -> Passage:
    """Plain sentences as paragraphs."""
    return Passage("".join(f"<p>{escape(text)}</p>" for text in texts))


def inline_svg(figure: Figure) -> str:
    """The SVG as an element of a page: no XML prologue, a role and a label for screen readers."""
    element = figure.svg[figure.svg.index("<svg") :]
    label = f'<svg role="img" aria-label="{escape(figure.caption)}"'
    return element.replace("<svg", label, 1)


def _framed(kind: str, name: str, content: str, caption: str) -> str:
    return (
        f'<figure class="exhibit {kind}" id="{kind}-{escape(name)}"><div class="scroll">{content}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
