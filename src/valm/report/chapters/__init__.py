"""What each of the six notebooks shows, phase by phase; the report ties the same exhibits together.

A chapter's functions take the study's results folder and return exhibits: they read through
``valm.report.results`` and leave every computation to pure functions. Nothing here imports the
chapters: a notebook runs again when its own chapter changes.
"""

from __future__ import annotations

from valm.report.exhibits import opening

__all__ = ["opening"]
