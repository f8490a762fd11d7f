"""What the captions speak of, and what the web gave: figures and frames of what came in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from valm.core.manifest import Manifest
from valm.ingest.probes import COLOURS, coloured_things
from valm.report.exhibits import Figure
from valm.report.figures.drawing import canvas, finished, house_style
from valm.report.figures.style import INK, NEUTRAL, word_colour
from valm.report.words.numbers import number, percent

WORD = re.compile(r"[^\W\d_]+")
LONGEST_BAR = 30  # words; longer captions share the last bar
MOST_FREQUENT = 12


def caption_figure(captions: Sequence[str], name: str = "caption_words") -> Figure:
    """How long captions are, and how often they say a colour or a thing of the colour probe."""
    lengths = np.array([len(caption.split()) for caption in captions])
    said = [set(WORD.findall(caption.lower())) for caption in captions]
    colours = _in_captions(said, COLOURS)
    things = _in_captions(said, {thing.thing.name for thing in coloured_things()})
    with_colour = sum(not words.isdisjoint(colours) for words in said) / len(said)
    with_thing = sum(not words.isdisjoint(things) for words in said) / len(said)
    with house_style():
        figure, axes = canvas(2.6, 1, 3)
        bars = np.bincount(np.minimum(lengths, LONGEST_BAR), minlength=LONGEST_BAR + 1)
        axes[0].bar(range(LONGEST_BAR + 1), bars, width=0.9, color=NEUTRAL)
        axes[0].set_title("words of a caption", fontsize=9)
        _bars(axes[1], colours, "captions with a colour word")
        _bars(axes[2], things, "captions with a thing")
        caption = (
            f"{number(len(captions))} captions; the median has {number(float(np.median(lengths)))} words, the longest"
            f" {number(int(lengths.max()))}. {percent(with_colour)} % say a colour, {percent(with_thing)} % one of the"
            f" {number(len(things))} things of the colour probe that any caption names; the most frequent are shown."
        )
        return finished(figure, name, caption)


def web_rows(
    text: Mapping[str, Manifest],
    metadata: Mapping[str, Manifest],
    pictures: Mapping[str, Manifest],
    overlap: Sequence[Mapping[str, Any]],
) -> pl.DataFrame:
    """What became of everything that was read from files and addresses of the web.

    Args:
        text: Manifests of the text sources, by name.
        metadata: Manifests of the lists of addresses, by picture source.
        pictures: Manifests of the picture sources, by name.
        overlap: What the training text shares with evaluation sets, by task.

    Returns:
        ``source, outcome, count, share`` with the share of what was read; empty without any.
    """
    rows: list[tuple[str, str, int, float | None]] = []
    for name, made in text.items():
        counts = made.facts.get("counts")
        if counts:
            outcomes = [
                ("kept", counts["kept"]),
                ("not sampled", counts["not_sampled"]),
                *_named("damaged", counts["damaged"]),
                *_named("left out", counts["left_out"]),
                *_named("repeat", counts["repeats"]),
            ]
            rows += _of(name, counts["read"], outcomes)
            looked_at = sum(counts["languages"].values())
            rows += _of(
                name,
                looked_at,
                _named("language", counts["languages"]),
                in_all="languages looked at",
            )
    for name, made in metadata.items():
        outcomes = [("listed", made.rows), *_named("left out", made.facts["left_out"])]
        rows += _of(name, made.facts["read"], outcomes, in_all="rows of metadata")
    for name, made in pictures.items():
        if made.facts.get("listed"):
            outcomes = [
                ("kept", made.rows),
                *_named("lost", made.facts["lost"]),
                *_named("rejected", made.facts["rejected"]),
            ]
            rows += _of(name, made.facts["listed"], outcomes, in_all="addresses")
    for row in overlap:
        outcome = f"training documents that share 13 words with {row['task']}"
        rows.append(("training text", outcome, row["training_documents"], None))
        touched = row["touched_items"] / row["items"] if row["items"] else None
        rows.append(
            (
                "training text",
                f"items of {row['task']} that it shares",
                row["touched_items"],
                touched,
            )
        )
    schema = {"source": pl.String, "outcome": pl.String, "count": pl.Int64, "share": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _of(
    source: str, total: int, outcomes: Sequence[tuple[str, int]], in_all: str = "read"
) -> Iterator[tuple[str, str, int, float | None]]:
    if total:
        yield source, in_all, total, 1.0
        yield from ((source, outcome, count, count / total) for outcome, count in outcomes if count)


def _named(what: str, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Counts by reason, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(f"{what}: {reason.replace('_', ' ')}", count) for reason, count in ordered]


def _in_captions(said: Sequence[set[str]], words: Sequence[str] | set[str]) -> dict[str, int]:
    """How many captions say each of some words, the most frequent first; words that none says are left out."""
    counts = Counter(word for caption in said for word in caption.intersection(words))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _bars(axis: Axes, counts: Mapping[str, int], title: str) -> None:
    shown = dict(list(counts.items())[:MOST_FREQUENT])
    colours = [word_colour(word) for word in shown]
    axis.barh(range(len(shown)), list(shown.values()), color=colours, edgecolor=INK, linewidth=0.4)
    axis.set_yticks(range(len(shown)), list(shown), fontsize=8)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=9)
