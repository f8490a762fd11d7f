"""An HTML page that needs nothing but itself: style inside, no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from valm.report.pages.style_sheet import STYLE_SHEET

# The browser is told so too: even markup that slipped through could neither run nor load anything.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Of the notebooks; here, because the module that turns them into pages takes seconds to import.
TITLES = {
    "01_ingest": "What came in",
    "02_embed": "The encoder",
    "03_retrieve": "What is retrieved",
    "04_train": "Training",
    "05_evaluate": "Scores",
    "06_findings": "Findings",
}


def page(title: str, contents: Mapping[str, str], body: str, *, current: str = "") -> str:
    """A whole page.

    Args:
        title: The page's title, as text.
        contents: The links beside the text: address to label.
        body: Finished HTML of the main part.
        current: The address in ``contents`` that is this page itself.
    """
    links = "".join(
        f'<li><a href="{escape(address)}"{_current(address, current)}>{escape(label)}</a></li>'
        for address, label in contents.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE_SHEET}</style>\n</head>\n<body>\n"
        f'<div class="layout">\n<nav class="contents" aria-label="Contents"><ol>{links}</ol></nav>\n'
        f"<main>\n{body}\n</main>\n</div>\n</body>\n</html>\n"
    )


def _current(address: str, current: str) -> str:
    return ' aria-current="page"' if address == current else ""
