"""What is retrieved: how faithful and how cheap each index is, and pictures to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from valm.ingest.pictures.numbering import picture_bytes
from valm.report.exhibits import Exhibit, missing
from valm.report.figures.curves import recall_figure
from valm.report.pictures import CaptionedPicture, retrieved_grid
from valm.report.results import Results
from valm.report.tables.layout import as_text, table
from valm.report.words.numbers import number, percent


def recall(results: str | Path) -> Exhibit:
    """Each index: recall against exact search, bytes a vector, queries a second."""
    measured = Results(Path(results)).json("retrieve", "recall.json")
    if not measured:
        return missing("recall report")
    frame = pl.DataFrame(
        [
            {
                "index": index["index"],
                "preset": index["preset"],
                "factory": index["factory"],
                "nprobe": index["nprobe"],
                **{f"recall@{k}": share for k, share in index["recall"].items()},
                "bytes_per_vector": index["bytes_per_vector"],
                "queries_per_second": index["queries_per_second"],
            }
            for index in measured
        ]
    )
    shares = [column for column in frame.columns if column.startswith("recall@")]
    formats: dict[str, Callable[[Any], str]] = {
        "index": str, "preset": str, "factory": str, "nprobe": number, **dict.fromkeys(shares, percent),
        "bytes_per_vector": number, "queries_per_second": number,
    }  # fmt: skip
    shown = as_text(frame, **formats)
    queries = number(measured[0]["queries"])
    caption = (
        f"Indices over the picture keys, measured with {queries} token states of held-out text."
    )
    labels = {
        "index": "Index", "preset": "Asked by", "factory": "faiss factory", "nprobe": "nprobe",
        "bytes_per_vector": "Bytes a vector", "queries_per_second": "Queries a second",
    } | {c: c.removeprefix("recall") for c in shares}  # fmt: skip
    right = ("nprobe", *shares, "bytes_per_vector", "queries_per_second")
    return table(
        "recall",
        caption,
        shown,
        data=frame,
        labels=labels,
        spanners={"Recall, %": shares},
        right=right,
        made_by="retrieve/recall",
    )


def recall_curves(results: str | Path) -> Exhibit:
    """Recall by k, and speed by size, of each index."""
    measured = Results(Path(results)).json("retrieve", "recall.json")
    return recall_figure(measured) if measured else missing("recall report")


def prompt_pictures(results: str | Path) -> Exhibit:
    """The pictures that the last token of each prompt retrieves."""
    study = Results(Path(results))
    prompts = study.json("retrieve", "prompts.json")
    if not prompts:
        return missing("retrieved pictures for prompts")
    wanted = sorted({number for entry in prompts for number in entry["ids"][-1] if number >= 0})
    listed = study.frame("ingest", "pictures", "list.parquet").filter("kept")
    captions = dict(listed.select("id", "caption").iter_rows())
    data = picture_bytes(study.path("ingest", "pictures", "list.manifest.json"), wanted)
    return retrieved_grid(
        prompts, {number: CaptionedPicture(data[number], captions[number]) for number in wanted}
    )
