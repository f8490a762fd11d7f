"""What came in: sources and licences, pictures with their captions, text and its colour notes."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import polars as pl

from valm.core.manifest import Manifest
from valm.ingest.pictures.numbering import picture_bytes
from valm.report import provenance
from valm.report.exhibits import Exhibit, Passage, missing
from valm.report.figures.corpus import caption_figure, web_rows
from valm.report.figures.style import readable
from valm.report.pictures import CaptionedPicture, contact_sheet
from valm.report.results import Results
from valm.report.tables.layout import as_text, table
from valm.report.words.numbers import NOTHING, number, percent, plain, size

COLOUR_NOTES = "colour_notes"
MADE_FROM_PIXELS = "Colour notes (made from the pixels of pictures)"
LONGEST_EXAMPLE = 280


def sources(results: str | Path) -> Exhibit:
    """Every raw source with its package, licence and size, and why one is not there."""
    frame = provenance.sources(Results(Path(results)).manifests("ingest", "sources"))
    if frame.is_empty():
        return missing("record of its raw sources")
    status = [
        "used" if row["available"] else f"not used: {plain(row['reason'])}"
        for row in frame.to_dicts()
    ]
    shown = as_text(
        frame.with_columns(status=pl.Series(status)), source=plain, holds=plain, origin=plain, licence=plain,
        bytes=size, status=str,
    )  # fmt: skip
    caption = "Raw sources. Every byte is verified against its sha256 before it is used."
    labels = {
        "source": "Source", "holds": "Holds", "origin": "From", "licence": "Licence", "bytes": "Size",
        "status": "Status",
    }  # fmt: skip
    made_by = [f"ingest/sources/{source}" for source in frame["source"]]
    return table(
        "sources", caption, shown, data=frame, labels=labels, right=("bytes",), made_by=made_by
    )


def pictures(results: str | Path) -> Exhibit:
    """Pictures by source: written, rejected and why, near-duplicates, kept."""
    study = Results(Path(results))
    shards = study.manifests("ingest", "pictures")
    listed = study.frame("ingest", "pictures", "list.parquet")
    if listed.is_empty():
        return missing("pictures")
    frame = listed.group_by("source", maintain_order=True).agg(
        written=pl.len(),
        duplicates=(~pl.col("kept")).sum(),
        kept=pl.col("kept").sum(),
        licence=pl.col("licence").unique(maintain_order=True).str.join(", "),
    )
    rejected = [_rejected(shards.get(f"{source}/pictures")) for source in frame["source"]]
    frame = frame.with_columns(
        rejected=pl.Series([sum(r.values()) for r in rejected], dtype=pl.Int64)
    )
    reasons = [
        "; ".join(f"{reason}: {number(n)}" for reason, n in r.items()) or NOTHING for r in rejected
    ]
    shown = as_text(
        frame.with_columns(why=pl.Series(reasons, dtype=pl.String)), source=readable, written=number,
        rejected=number, why=str, duplicates=number, kept=number, licence=plain,
    )  # fmt: skip
    caption = (
        f"The picture base: {number(int(frame['kept'].sum()))} pictures. Rejected ones were never written; of near-duplicates"
        " the first is kept."
    )
    labels = {
        "source": "Source", "written": "Written", "rejected": "Rejected", "why": "Why", "duplicates": "Duplicates",
        "kept": "Kept", "licence": "Licence",
    }  # fmt: skip
    right = ("written", "rejected", "duplicates", "kept")
    made_by = [f"ingest/pictures/{source}/pictures" for source in frame["source"]]
    return table(
        "pictures", caption, shown, data=frame, labels=labels, right=right, made_by=made_by
    )


def picture_examples(results: str | Path, count: int = 40) -> Exhibit:
    """Pictures evenly spaced through the base, each with its caption."""
    study = Results(Path(results))
    kept = study.shown_pictures()
    if kept.is_empty():
        return missing("pictures")
    places = np.unique(np.linspace(0, len(kept) - 1, count).round().astype(int))
    chosen = kept[places.tolist()]
    data = picture_bytes(
        study.path("ingest", "pictures", "list.manifest.json"), chosen["id"].to_list()
    )
    return contact_sheet(
        [CaptionedPicture(data[row["id"]], row["caption"]) for row in chosen.to_dicts()]
    )


def captions(results: str | Path) -> Exhibit:
    """How long the kept pictures' captions are, and the colours and things that they name."""
    shown = Results(Path(results)).shown_pictures()
    return missing("pictures") if shown.is_empty() else caption_figure(shown["caption"].to_list())


def web(results: str | Path) -> Exhibit:
    """What became of web text, of addresses of pictures, and what training shares with evaluation."""
    study = Results(Path(results))
    made = study.manifests("ingest", "pictures")
    metadata, pictures = (
        {name.removesuffix(end): each for name, each in made.items() if name.endswith(end)}
        for end in ("/downloads/urls", "/pictures")
    )
    frame = web_rows(
        study.manifests("ingest", "text"),
        metadata,
        pictures,
        study.json("ingest", "tokens", "overlap.json") or [],
    )
    if frame.is_empty():
        return missing("source of web text or downloaded pictures")
    shown = as_text(frame, source=readable, outcome=plain, count=number, share=percent)
    caption = (
        "What became of everything that was read from the web's files and addresses, as shares of what was read; and"
        " what the training text has in common with the evaluation sets."
    )
    labels = {"source": "Source", "outcome": "Outcome", "count": "Count", "share": "Share, %"}
    return table(
        "web", caption, shown, data=frame, labels=labels, right=("count", "share"), made_by="ingest"
    )


def text(results: str | Path) -> Exhibit:
    """Documents and tokens of the training text by source, with each source's share."""
    study = Results(Path(results))
    tokens = study.manifest("ingest", "tokens", "tokens")
    if tokens is None:
        return missing("training text")
    licences = {
        name: ", ".join(sorted(set(m.facts.get("licences", {}).values())))
        for name, m in study.manifests("ingest", "text").items()
    }
    train = tokens.facts["splits"]["train"]
    rows = [
        {
            "source": name,
            "documents": counts["documents"],
            "tokens": counts["tokens"],
            "share": counts["tokens"] / max(1, train["tokens"]),
            "licence": licences.get(name) or "made by this study",
        }
        for name, counts in train["by_source"].items()
    ]
    frame = pl.DataFrame(rows)
    shown = as_text(
        frame, source=_text_label, documents=number, tokens=number, share=percent, licence=plain
    )
    held_out = ", ".join(
        f"{number(tokens.facts['splits'][split]['tokens'])} for {split}"
        for split in ("valid", "test")
    )
    caption = f"The training text: {number(train['tokens'])} tokens; besides it {held_out}."
    if "decontaminated" in tokens.facts:
        left_out = number(tokens.facts["decontaminated"])
        caption += f" Left out for text of the evaluation sets: {left_out} documents."
    labels = {
        "source": "Source", "documents": "Documents", "tokens": "Tokens", "share": "Share, %", "licence": "Licence",
    }  # fmt: skip
    return table(
        "text", caption, shown, data=frame, labels=labels, right=("documents", "tokens", "share"),
        made_by="ingest/tokens/tokens",
    )  # fmt: skip


def text_examples(results: str | Path, count: int = 2) -> Exhibit:
    """A few documents of every text source; colour notes are labelled as what they are."""
    study = Results(Path(results))
    entries = []
    for source in study.manifests("ingest", "text"):
        documents = "".join(
            f"<dd>{escape(_shortened(document))}</dd>"
            for document in study.documents(source, count)
        )
        entries.append(f"<dt>{escape(_text_label(source))}</dt>{documents}")
    if not entries:
        return missing("text")
    return Passage(f'<dl class="documents">{"".join(entries)}</dl>')


def vocabulary(results: str | Path) -> Exhibit:
    """One sentence about the tokenizer."""
    manifest = Results(Path(results)).manifest("ingest", "tokenizer", "tokenizer")
    if manifest is None:
        return missing("tokenizer")
    kind = str(manifest.facts.get("kind", "")).upper()
    return Passage(
        f"<p>The vocabulary ({escape(kind)}) has {number(manifest.rows)} entries"
        f" and is shared by the encoder and all language models. It takes {size(_bytes(manifest))}.</p>"
    )


def _rejected(manifest: Manifest | None) -> dict[str, int]:
    reasons: dict[str, int] = manifest.facts.get("rejected", {}) if manifest else {}
    return {reason: n for reason, n in reasons.items() if n}


def _bytes(manifest: Manifest) -> int:
    return sum(entry.bytes for entry in manifest.files.values())


def _text_label(source: str) -> str:
    return MADE_FROM_PIXELS if source == COLOUR_NOTES else readable(source)


def _shortened(document: str) -> str:
    if len(document) <= LONGEST_EXAMPLE:
        return document
    return document[:LONGEST_EXAMPLE].rsplit(" ", 1)[0] + " …"
