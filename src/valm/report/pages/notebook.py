"""An executed notebook as a page of its own, by nbconvert, in the report's style."""

from __future__ import annotations

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

from valm.report.pages.shell import TITLES, page


def notebook_page(executed: nbformat.NotebookNode, name: str) -> str:
    """The notebook's text, code and outputs as one page that loads nothing.

    nbconvert's ``basic`` template gives the cells alone; its full templates would load MathJax and
    RequireJS from the net.

    Args:
        executed: The notebook with its outputs.
        name: Its file name without suffix, to mark it among the six.
    """
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="basic",
        config=Config(
            {
                "HTMLExporter": {
                    "exclude_input_prompt": True,
                    "exclude_output_prompt": True,
                }
            }
        ),
    )
    body, _ = exporter.from_notebook_node(executed)
    contents = {f"{other}.html": label for other, label in TITLES.items()}
    links = {"../index.html": "The report"} | contents
    return page(TITLES.get(name, name), links, body, current=f"{name}.html")
