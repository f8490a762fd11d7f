"""Frames as figures of training and retrieval: losses, speed, recall. Pure; nothing is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from valm.report.exhibits import Figure
from valm.report.figures.drawing import canvas, finished, house_style
from valm.report.figures.style import (
    INK,
    NEUTRAL,
    model_colour,
    model_colours,
    model_label,
    readable,
    word_colour,
)
from valm.report.words.comparisons import OWN

SMOOTHING_SHARE = 0.04  # of a curve's points, on each side of a point


def smoothed(losses: pl.Series) -> pl.Series:
    """A centred running mean, narrower towards both ends so that the curve is as long as before."""
    values = losses.to_numpy().astype(np.float64)
    reach = max(1, round(SMOOTHING_SHARE * len(values)))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    half = np.minimum(np.minimum(places, len(values) - 1 - places), reach)
    return pl.Series((sums[places + half + 1] - sums[places - half]) / (2 * half + 1))


def loss_curves(logs: pl.DataFrame, baseline: str = "gpt2_star", name: str = "losses") -> Figure:
    """Training loss of every model and seed, and each one's validation loss against the baseline's.

    Args:
        logs: ``model, seed, step, tokens, loss, valid_loss``; losses in nats a token.
    """
    models = logs["model"].unique(maintain_order=True).to_list()
    colours = {model: c for (model, _), c in model_colours((m, OWN) for m in models).items()}
    with house_style():
        figure, (training, validation) = canvas(3.3, 1, 2)
        for (model, _), run in logs.group_by("model", "seed", maintain_order=True):
            colour = colours[str(model)]
            training.plot(run["tokens"] / 1e6, run["loss"], color=colour, linewidth=0.4, alpha=0.2)
            training.plot(
                run["tokens"] / 1e6,
                smoothed(run["loss"]),
                color=colour,
                linewidth=1.1,
                alpha=0.85,
            )
        for model in models:
            training.plot([], [], color=colours[model], label=model_label(model))
        training.set_title("Training loss", fontweight="bold")
        training.set_ylabel("nats a token")
        training.legend()
        _validation(validation, logs, baseline, colours)
        for axis in (training, validation):
            axis.set_xlabel("million tokens")
            axis.grid(axis="y")
        caption = (
            "Left: the loss while training, smoothed, with the loss itself faint behind it; one line a model and seed. Right: the loss on held-out documents"
            f" minus that of {model_label(baseline)} with the same seed; below zero is better."
        )
        return finished(figure, name, caption)


def _validation(axis: Axes, logs: pl.DataFrame, baseline: str, colours: Mapping[str, str]) -> None:
    held_out = logs.filter(pl.col("valid_loss").is_not_null())
    reference = held_out.filter(pl.col("model") == baseline).select(
        "seed", "step", reference="valid_loss"
    )
    joined = held_out.join(reference, on=["seed", "step"], how="inner", maintain_order="left")
    axis.axhline(0, color=model_colour(baseline), linewidth=1.4)
    for (model, _), run in joined.group_by("model", "seed", maintain_order=True):
        if model != baseline:
            gap = run["valid_loss"] - run["reference"]
            axis.plot(
                run["tokens"] / 1e6,
                gap,
                "o-",
                color=colours[str(model)],
                linewidth=1.1,
                markersize=3,
            )
    axis.set_title("Held-out loss against the baseline", fontweight="bold")


def encoder_curves(curve: Sequence[Mapping[str, float]], name: str = "encoder_losses") -> Figure:
    """The encoder's training losses over its steps, a panel each.

    Args:
        curve: ``step`` and the mean of each loss since the entry before, in order.
    """
    frame = pl.DataFrame(list(curve), infer_schema_length=None)
    losses = [column for column in frame.columns if column != "step"]
    with house_style():
        figure, axes = canvas(2.6, 1, len(losses))
        for loss, axis in zip(losses, axes, strict=True):
            axis.plot(frame["step"], frame[loss], color=NEUTRAL, linewidth=0.7, alpha=0.7)
            axis.plot(frame["step"], smoothed(frame[loss]), color=model_colour("valm"))
            axis.set_title(readable(loss), fontweight="bold")
            axis.set_xlabel("step")
            axis.grid(axis="y")
        axes[0].set_ylabel("loss, nats")
        return finished(figure, name, "The encoder's losses while it learned; smoothed in colour.")


def recall_figure(recall: Sequence[Mapping[str, Any]], name: str = "recall") -> Figure:
    """What each index finds of what exact search finds: by k, against its bytes, against its speed."""
    with house_style():
        figure, (by_k, by_bytes, by_speed) = canvas(2.7, 1, 3, sharey=True)
        colours = [model_colour(name) for name in ("valm", "valm_random", "valm_text_state")]
        for place, index in enumerate(recall):
            colour = colours[place % len(colours)]
            at = sorted((int(k), 100 * share) for k, share in index["recall"].items())
            by_k.plot(*zip(*at, strict=True), "o-", color=colour, label=index["index"])
            for axis, cost in ((by_bytes, "bytes_per_vector"), (by_speed, "queries_per_second")):
                found = [share for _, share in at]
                axis.plot([index[cost]] * len(at), found, color=colour, linewidth=1, alpha=0.5)
                for size, share in enumerate(found, start=2):
                    axis.plot(index[cost], share, "o", color=colour, markersize=2 * size)
        by_k.set(xlabel="k", ylabel="recall@k, %", xlim=(0, None), ylim=(0, 105))
        by_k.legend(loc="lower right")
        for axis, label in ((by_bytes, "bytes a vector"), (by_speed, "queries a second")):
            axis.margins(x=0.15)
            axis.set(xlabel=label, xlim=(0, None))
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.xaxis.set_major_formatter("{x:,.0f}")
        for axis in (by_k, by_bytes, by_speed):
            axis.grid(True)
        caption = (
            "The share of the k nearest pictures that each index finds, by k, and against what it takes to store and to search; there"
            " the larger a dot, the larger k."
        )
        return finished(figure, name, caption)


def colour_bars(shares: Mapping[str, float], name: str = "picture_colours") -> Figure:
    """How much of the pictures' visible area has each colour, drawn in that colour.

    Args:
        shares: Share by colour word; they add up to one.
    """
    ordered = sorted(shares.items(), key=lambda pair: pair[1])
    with house_style():
        figure, (axis,) = canvas(0.6 + 0.24 * len(ordered))
        axis.barh(
            [word for word, _ in ordered],
            [100 * share for _, share in ordered],
            color=[word_colour(word) for word, _ in ordered],
            edgecolor=INK,
            linewidth=0.5,
            height=0.72,
        )
        axis.set_xlabel("share of the pictures' area, %")
        axis.grid(axis="x")
        axis.tick_params(axis="y", length=0)
        return finished(figure, name, "Colours of the picture base, measured from its pixels.")
