"""The encoder: what it is, how it learned, how well it finds unseen pictures, their colours."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from valm.core.manifest import Manifest
from valm.ingest.picture_list import picture_bytes
from valm.ingest.pixel_colours import colour_histogram
from valm.ingest.probes import COLOURS
from valm.report.curves import colour_bars, encoder_curve
from valm.report.exhibits import Exhibit, missing
from valm.report.numbers import number, percent
from valm.report.results import Results
from valm.report.style import readable
from valm.report.tables import as_text, table

PLAIN = (str, int, float, bool)
MEASURED_PICTURES = 300


def encoder(results: str | Path) -> Exhibit:
    """What the encoder is: every plain fact of its manifest."""
    manifest = _encoder(results)
    if manifest is None:
        return missing("encoder")
    rows = [
        {"fact": readable(name), "value": number(value) if isinstance(value, int) else str(value)}
        for name, value in manifest.facts.items()
        if isinstance(value, PLAIN)
    ]
    caption = "The encoder. Keys are what is searched, values are what the language model reads."
    labels = {"fact": "Fact", "value": "Value"}
    return table("encoder", caption, pl.DataFrame(rows), labels=labels, right=("value",))


def training_curve(results: str | Path) -> Exhibit:
    """The encoder's loss over its steps."""
    manifest = _encoder(results)
    curve = manifest.facts.get("training_curve") if manifest else None
    return (
        encoder_curve(curve) if curve else missing("curve of its encoder: it was not trained here")
    )


def held_out_recall(results: str | Path) -> Exhibit:
    """How often the right picture is among the first k for names that the encoder never saw."""
    manifest = _encoder(results)
    recall = manifest.facts.get("held_out_recall") if manifest else None
    if not recall:
        return missing("held-out captions of its encoder")
    frame = pl.DataFrame([{"k": int(k), "recall": share} for k, share in recall.items()]).sort("k")
    caption = "Names held out from the encoder's training: how often a picture of the name is among the first k."
    labels = {"k": "k", "recall": "Found, %"}
    shown = as_text(frame, k=str, recall=percent)
    return table(
        "held_out_recall", caption, shown, data=frame, labels=labels, right=("k", "recall")
    )


def picture_colours(results: str | Path) -> Exhibit:
    """How much of the picture base has each colour, measured on pictures evenly spaced through it."""
    study = Results(Path(results))
    listed = study.manifest("ingest", "pictures", "list")
    if listed is None or not listed.rows:
        return missing("pictures")
    places = np.unique(np.linspace(0, listed.rows - 1, MEASURED_PICTURES).round().astype(int))
    data = picture_bytes(study.path("ingest", "pictures", "list.manifest.json"), places.tolist())
    shares = np.mean(
        [colour_histogram(Image.open(io.BytesIO(each))) for each in data.values()], axis=0
    )
    return colour_bars(dict(zip(COLOURS, shares.tolist(), strict=True)))


def _encoder(results: str | Path) -> Manifest | None:
    return Results(Path(results)).manifest("embed", "encoder", "encoder")
