"""Training: the loss curves of all models and seeds, where they ended, what they cost."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from valm.report.costs import training_costs
from valm.report.curves import loss_curves
from valm.report.exhibits import Exhibit, missing
from valm.report.numbers import duration, fixed, number, size
from valm.report.results import Results
from valm.report.style import model_label
from valm.report.tables import as_text, table

LAST_SHARE = 0.05  # of the steps, over which the final training loss is averaged


def losses(results: str | Path) -> Exhibit:
    """Training and held-out loss of every model and seed."""
    logs = Results(Path(results)).training_logs()
    return missing("trained models") if logs.is_empty() else loss_curves(logs)


def final_losses(results: str | Path) -> Exhibit:
    """Where each model and seed ended, and how long one token took."""
    logs = Results(Path(results)).training_logs()
    if logs.is_empty():
        return missing("trained models")
    last = pl.col("step") > pl.col("step").max() * (1 - LAST_SHARE)
    frame = logs.group_by("model", "seed", maintain_order=True).agg(
        tokens=pl.col("tokens").max(),
        training_loss=pl.col("loss").filter(last).mean(),
        held_out_loss=pl.col("valid_loss").drop_nulls().last(),
        tokens_per_second=pl.col("tokens_per_second").median(),
    )
    shown = as_text(
        frame, model=model_label, seed=str, tokens=number, training_loss=fixed(3),
        held_out_loss=fixed(3), tokens_per_second=number,
    )  # fmt: skip
    caption = (
        "Final losses in nats a token: the training loss averaged over the last steps, and the loss on held-out"
        " documents at the last check."
    )
    labels = {
        "model": "Model", "seed": "Seed", "tokens": "Tokens read", "training_loss": "Training loss",
        "held_out_loss": "Held-out loss", "tokens_per_second": "Tokens a second",
    }  # fmt: skip
    right = ("seed", "tokens", "training_loss", "held_out_loss", "tokens_per_second")
    return table("final_losses", caption, shown, data=frame, labels=labels, right=right)


def speed(results: str | Path) -> Exhibit:
    """What each model's training costs, relative to GPT-2*."""
    frame = training_costs(Results(Path(results)).training_logs())
    if frame.is_empty():
        return missing("trained models")
    shown = as_text(
        frame, model=model_label, tokens_per_second=number, seconds=duration, peak_bytes=size,
        relative=fixed(2),
    )  # fmt: skip
    caption = "Cost of training one model, mean over its seeds; the last column is the time a token takes, GPT-2* = 1."
    labels = {
        "model": "Model", "tokens_per_second": "Tokens a second", "seconds": "Time", "peak_bytes": "Peak memory",
        "relative": "Relative",
    }  # fmt: skip
    right = ("tokens_per_second", "seconds", "peak_bytes", "relative")
    return table("training_cost", caption, shown, data=frame, labels=labels, right=right)
