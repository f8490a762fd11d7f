"""Frames as tables, by great_tables; the page's style sheet, not the table, says how they look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import polars as pl
from great_tables import GT

from valm.report.exhibits import Table
from valm.report.links import linked
from valm.report.tables.markdown import markdown_table
from valm.report.words.numbers import MINUS, NOTHING, UNBROKEN

LATEX_SIGNS = {MINUS: "$-$", UNBROKEN: "~", "√": r"$\surd$", "×": r"$\times$"}


def as_text(frame: pl.DataFrame, **formats: Callable[[Any], str]) -> pl.DataFrame:
    """Columns of a frame as readers see them: each value through its column's function.

    Args:
        formats: The columns to show, in this order, each with what turns a value into text.
    """
    cells = {column: [form(value) for value in frame[column]] for column, form in formats.items()}
    return pl.DataFrame(cells, schema=dict.fromkeys(formats, pl.String))


def table(
    name: str,
    caption: str,
    shown: pl.DataFrame,
    *,
    data: pl.DataFrame | None = None,
    labels: Mapping[str, str] | None = None,
    group: str | None = None,
    spanners: Mapping[str, Sequence[str]] | None = None,
    right: Sequence[str] = (),
    made_by: str | Sequence[str | None] | Mapping[str, str | Sequence[str | None]] = "",
) -> Table:
    """A table whose cells are ready to read.

    Args:
        name: Name of the table and of its CSV file.
        caption: What the reader looks at, in a sentence or two.
        shown: The cells as text; empty ones become dashes. Text is escaped.
        data: The plain numbers behind it, for the CSV file; ``shown`` if there are none.
        labels: Column headings; a column without one is headed by its name.
        group: Column whose values head groups of rows.
        spanners: Headings over several columns.
        right: Columns of numbers, which are set flush right.
        made_by: The artifact that made the numbers: one for all, one a row, or by column either of these.
    """
    text = shown.select(pl.all().cast(pl.String).fill_null(NOTHING))
    columns = [column for column in right if column in text.columns]
    known = {column: label for column, label in (labels or {}).items() if column in text.columns}

    def built(cells: pl.DataFrame) -> GT:
        grid = GT(cells, id=name, groupname_col=group).cols_align("left")
        if columns:
            grid = grid.cols_align("right", columns=columns)
        for heading, spanned in (spanners or {}).items():
            grid = grid.tab_spanner(heading, columns=list(spanned))
        return grid.cols_label(cases=dict[str, Any](known)) if known else grid

    body = [column for column in text.columns if column != group]
    cells = _linked_cells(text, body, columns, made_by)
    raw = built(cells).fmt(str, columns=body).as_raw_html()  # formatted: not escaped once more
    html = re.sub(r"<style>.*?</style>", "", raw, flags=re.DOTALL)
    heading = [labels.get(c, c) if labels else c for c in text.columns]
    return Table(
        name,
        caption,
        re.sub(r"\s*\n\s*", "\n", html).strip(),
        shown if data is None else data,
        _latex(built(text).as_latex(), caption),
        markdown_table(heading, text.iter_rows()),
    )


def _linked_cells(
    text: pl.DataFrame,
    body: Sequence[str],
    numbers: Sequence[str],
    made_by: str | Sequence[str | None] | Mapping[str, str | Sequence[str | None]],
) -> pl.DataFrame:
    """The cells as HTML: escaped, numbers linked to what made them."""
    finished = {}
    for column in body:
        maker = made_by.get(column, "") if isinstance(made_by, Mapping) else made_by
        makers = [maker] * len(text) if isinstance(maker, str) else maker
        cells = [escape(cell) for cell in text[column]]
        if column in numbers:
            cells = [
                cell if cell == NOTHING else linked(cell, made)
                for cell, made in zip(cells, makers, strict=True)
            ]
        finished[column] = pl.Series(column, cells, dtype=pl.String)
    return text.with_columns(**finished)


def _latex(text: str, caption: str) -> str:
    """The table for a paper that loads booktabs and caption: signs that plain LaTeX lacks are spelt out."""
    body = text.replace("\\fontsize{12.0pt}{14.4pt}\\selectfont\n", "")
    titled = body.replace(
        "\\begin{table}[!t]\n", f"\\begin{{table}}[!t]\n\\caption{{{_escaped(caption)}}}\n", 1
    )
    for sign, spelt in LATEX_SIGNS.items():
        titled = titled.replace(sign, spelt)
    return re.sub(r"\n{2,}", "\n", titled)


def _escaped(text: str) -> str:
    """A text in which LaTeX reads no command."""
    spelt = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(spelt.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in text)
