"""What the paper reports, for a column beside what is measured here.

The models are named as ``evaluate.baselines`` and ``models.variants`` name them; ``valm`` is with four
pictures, ``valm_k8`` with eight, ``valm_10m`` with four of an image base of ten million. In the paper's column of ObjectShape the values of BERT and its kin
fit all 140 objects, the others the 101 with a single shape (VALM.md 6.0), so that they stand beside
different metrics here.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class PublishedValue:
    """One cell of the paper's tables.

    Attributes:
        value: In the unit of ``scores.parquet``; of ``training``, the time relative to GPT-2*'s.
        table: Number of the table.
    """

    model: str
    task: str
    metric: str
    value: float
    table: int


@cache
def paper_values() -> Sequence[PublishedValue]:
    """All of them, table by table, in the paper's order."""
    text = (
        resources.files("valm.evaluate.scores")
        .joinpath("published.csv")
        .read_text(encoding="utf-8")
    )
    return tuple(
        PublishedValue(
            row["model"],
            row["task"],
            row["metric"],
            float(row["value"]),
            int(row["source"].rpartition(" ")[2]),
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def published() -> dict[tuple[str, str, str], float]:
    """Values of legacy metrics by task, metric and model, in the units of ``scores.parquet``."""
    return {(cell.task, cell.metric, cell.model): cell.value for cell in paper_values()}
