"""How every figure is drawn: quiet axes, text as text, and the same bytes each time.

The SVG names no date, no program and no file. Ink becomes ``currentColor``, so that a figure inside
a page follows the page's light or dark theme; in a viewer of its own it is black.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from valm.report.exhibits import Figure
from valm.report.figures.style import INK

WIDTH_INCHES = 7.4
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

_RULES: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "valm",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same layout everywhere
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with the house's rules; matplotlib's own settings come back afterwards."""
    with rc_context(_RULES):
        yield


def canvas(
    height_inches: float, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Canvas, list[Axes]]:
    """A figure of the house's width and its axes, row by row."""
    figure = Canvas(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, list(axes.ravel())


def finished(figure: Canvas, name: str, caption: str) -> Figure:
    """The drawn figure as an exhibit."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Figure(name, caption, _tidy(text.getvalue(), name))


def _tidy(svg: str, name: str) -> str:
    """One page holds many figures: ids carry the figure's name; the size is left to the page."""
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!DOCTYPE.*?>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*sans-serif", f"font-family: {FONT}", svg)
    svg = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*sans-serif", rf"font: \1{FONT}", svg)
    svg = re.sub(r'id="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    return svg.replace(INK, "currentColor")
