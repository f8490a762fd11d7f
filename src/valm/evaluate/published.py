"""What the paper reports, for a column beside what is measured here.

The models are named as ``evaluate.baselines`` and ``models.variants`` name them; ``valm`` is with four
pictures, ``valm_k8`` with eight. In the paper's column of ObjectShape the values of BERT and its kin
fit all 140 objects, the others the 101 with a single shape (VALM.md 6.0), so that they stand beside
different metrics here.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources


@cache
def published() -> dict[tuple[str, str, str], float]:
    """Values of legacy metrics by task, metric and model, in the units of ``scores.parquet``."""
    text = resources.files("valm.evaluate").joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["task"], row["metric"], row["model"]): float(row["value"]) for row in rows}
