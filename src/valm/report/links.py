"""Links from a number to the artifact that made it: an entry of the page that lists them all.

An artifact is named by its manifest's path below the results, without the suffix:
``evaluate/predictions/valm/colour``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html import escape, unescape
from pathlib import PurePosixPath

ARTIFACTS = "artifacts.html"
BENCHMARKS = "benchmarks"  # before a rule's name: the files that say what its jobs cost
SCORES = "evaluate/scores"
ENCODER = "embed/encoder/encoder"
_LINK = re.compile(rf'<a class="number" href="{re.escape(ARTIFACTS)}#([^"]*)">(.*?)</a>', re.DOTALL)


def linked(html: str, artifact: str | None) -> str:
    """Finished HTML as a link to an artifact; as it is for none."""
    if not artifact:
        return html
    return f'<a class="number" href="{ARTIFACTS}#{escape(artifact)}">{html}</a>'


def without_links(html: str) -> str:
    """The same HTML without the links to artifacts."""
    return _LINK.sub(lambda link: link[2], html)


def resolved(html: str, known: Collection[str]) -> str:
    """The same HTML; what would lead to an unknown artifact leads to the folder that it would lie in, or nowhere."""

    def place(link: re.Match[str]) -> str:
        name = PurePosixPath(unescape(link[1]))
        found = (str(path) for path in (name, *name.parents) if str(path) in known)
        return linked(link[2], next(found, None))

    return _LINK.sub(place, html)


def answers_of(model: str, task: str) -> str:
    """The artifact that holds what a model of the study answered to a task."""
    return f"evaluate/predictions/{model}/{task}"


def questions_of(task: str) -> str:
    """The artifact that holds what a task asks."""
    return f"evaluate/tasks/{task}"
