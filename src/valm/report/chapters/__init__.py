"""What each of the six notebooks shows, phase by phase; the report ties the same exhibits together.

A chapter's functions take the study's results folder and return exhibits: they read through
``valm.report.results`` and leave every computation to pure functions.
"""

from __future__ import annotations

from valm.report.chapters import embed, evaluate, findings, ingest, retrieve, train
from valm.report.exhibits import opening

TITLES = {
    "01_ingest": "What came in",
    "02_embed": "The encoder",
    "03_retrieve": "What is retrieved",
    "04_train": "Training",
    "05_evaluate": "Scores",
    "06_findings": "Findings",
}

__all__ = ["TITLES", "embed", "evaluate", "findings", "ingest", "opening", "retrieve", "train"]
