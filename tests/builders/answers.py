"""Answers to questions, as evaluation would write them."""

from __future__ import annotations

import numpy as np
import polars as pl

from valm.evaluate.questions.definitions import Question
from valm.evaluate.scores.metrics import CHOICE


def answers(asked: list[Question], said: np.ndarray) -> pl.DataFrame:
    """Predictions of a model without a prior, from scores of the candidates, [questions, C]."""
    names = ("item", "prompt", "answer", "part")
    frame = pl.DataFrame([[getattr(q, n) for n in names] for q in asked], names, orient="row")
    said = np.where(frame["answer"].to_numpy()[:, None] >= 0, said, 0.0)
    return frame.with_columns(
        **{f"{CHOICE}{place}": said[:, place] for place in range(said.shape[1])}
    )
