"""Training: the loss curves of all models and seeds, where they ended, what they cost."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from valm.report.exhibits import Exhibit, missing
from valm.report.figures.curves import loss_curves
from valm.report.figures.style import model_label
from valm.report.results import Results
from valm.report.tables.costs import model_costs
from valm.report.tables.layout import as_text, table
from valm.report.words.numbers import NOTHING, fixed, number, size

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
    made_by = [f"train/{row['model']}/seed{row['seed']}/model" for row in frame.to_dicts()]
    return table(
        "final_losses", caption, shown, data=frame, labels=labels, right=right, made_by=made_by
    )


def speed(results: str | Path) -> Exhibit:
    """What each model costs to train and to hold, relative to GPT-2*."""
    frame = model_costs(Results(Path(results)))
    if frame.is_empty():
        return missing("trained models")
    shown = as_text(
        frame.with_columns(hours=pl.col("seconds") / 3600), model=model_label,
        tokens_per_second=number, hours=fixed(2), peak_bytes=size, weight_bytes=size,
        picture_bytes=size, relative=_times, relative_with_search=_times,
        relative_processor=_times, relative_processor_with_search=_times,
    )  # fmt: skip
    caption = (
        "Cost of one model, mean over its seeds; GPT-2* = 1x. It was measured while the study ran: jobs that shared the machine"
        " slowed each other down, so tokens, hours and time by the clock compare models only as far as their jobs ran under the same load."
        " Processor time is touched far less by other jobs, but leaves out what a GPU does: where the two disagree on a machine without one,"
        " it is the one to read. Picture bytes are the table of every training token's pictures and the"
        " pictures' vectors, which models share. With search, the time that finding a token's pictures took is added once to every"
        " token that is read, as if pictures were searched while training."
    )
    labels = {
        "model": "Model", "tokens_per_second": "Tokens/s", "hours": "Hours", "peak_bytes": "Peak memory",
        "weight_bytes": "Weights", "picture_bytes": "Pictures", "relative": "Time",
        "relative_with_search": "Time with search", "relative_processor": "Processor time",
        "relative_processor_with_search": "Processor time with search",
    }  # fmt: skip
    right = tuple(labels)[1:]
    made_by = [f"train/{model}" for model in frame["model"]]
    return table(
        "training_cost", caption, shown, data=frame, labels=labels, right=right, made_by=made_by
    )


def _times(multiple: float | None) -> str:
    """A multiple as readers meet it: ``1.10x``."""
    return NOTHING if multiple is None else f"{number(multiple, 2)}x"
