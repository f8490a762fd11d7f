"""The encoder: what it is, how it learned, how well it finds unseen pictures, their colours."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from valm.core.manifest import Manifest
from valm.ingest.pictures.numbering import picture_bytes
from valm.ingest.pictures.pixel_colours import colour_histogram
from valm.ingest.probes import COLOURS
from valm.report.exhibits import Exhibit, missing
from valm.report.figures.curves import colour_bars, encoder_curves
from valm.report.figures.style import readable
from valm.report.links import ENCODER
from valm.report.results import Results
from valm.report.tables.layout import as_text, table
from valm.report.words.numbers import number, percent

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
    return table(
        "encoder", caption, pl.DataFrame(rows), labels=labels, right=("value",), made_by=ENCODER
    )


def training_curves(results: str | Path) -> Exhibit:
    """The encoder's losses over its steps."""
    manifest = _encoder(results)
    curve = manifest.facts.get("training_curve") if manifest else None
    return (
        encoder_curves(curve) if curve else missing("curve of its encoder: it was not trained here")
    )


def precision(results: str | Path) -> Exhibit:
    """How many of the nearest pictures are right, after names in sentences held out from training."""
    manifest = _encoder(results)
    shares = manifest.facts.get("precision_at_4_after_mention") if manifest else None
    if not shares:
        return missing("held-out sentences of its encoder")
    frame = pl.DataFrame([{"tokens_since": int(age), "precision": p} for age, p in shares.items()])
    caption = (
        "Sentences held out from the encoder's training: how many of the four nearest pictures show the thing that was"
        " named, by the number of tokens since the name ended."
    )
    labels = {"tokens_since": "Tokens since the name", "precision": "Right pictures, %"}
    shown = as_text(frame, tokens_since=str, precision=percent)
    right = ("tokens_since", "precision")
    return table(
        "encoder_precision", caption, shown, data=frame, labels=labels, right=right, made_by=ENCODER
    )


def picture_colours(results: str | Path) -> Exhibit:
    """How much of the picture base has each colour, measured on pictures evenly spaced through it."""
    study = Results(Path(results))
    listed = study.shown_pictures()
    if listed.is_empty():
        return missing("pictures")
    places = np.unique(np.linspace(0, len(listed) - 1, MEASURED_PICTURES).round().astype(int))
    measured = listed["id"].gather(places).to_list()
    data = picture_bytes(study.path("ingest", "pictures", "list.manifest.json"), measured)
    shares = np.mean(
        [colour_histogram(Image.open(io.BytesIO(each))) for each in data.values()], axis=0
    )
    return colour_bars(dict(zip(COLOURS, shares.tolist(), strict=True)))


def _encoder(results: str | Path) -> Manifest | None:
    return Results(Path(results)).manifest("embed", "encoder", "encoder")
