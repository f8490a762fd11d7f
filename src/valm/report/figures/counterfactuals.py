"""Where models look in a prompt, and what becomes of the answer when its pictures are others.

After figures 2 and 3 of the paper, from what ``look-at-prompts`` wrote. Pure: what is drawn is handed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, HPacker, OffsetBox, OffsetImage
from numpy.typing import NDArray
from PIL import Image

from valm.ingest.pictures.hue import hue_turned
from valm.report.exhibits import Figure, Table
from valm.report.figures.drawing import canvas, finished, house_style
from valm.report.figures.style import INK, NEUTRAL, model_colour, model_label, readable, word_colour
from valm.report.tables.layout import as_text, table
from valm.report.words.numbers import percent

Sight = Mapping[str, Any]  # one prompt of sights.json
Pictures = Mapping[int, Image.Image]

THUMBNAIL_PIXELS = 40
PANELS_IN_A_ROW = 2
ROW_INCHES = 0.29
LABELS_FROM, PICTURES_TO = -1.0, -0.04  # across, where the bars go from 0 to 1
MOST_PICTURES = 4
FAINTEST_LABEL = 0.15  # share of a bar that holds its word
LEGIBLE = {"white", "yellow", "orange", "pink", "grey"}  # grounds on which dark words are read
OWN, RECOLOURED, INSTEAD = "own", "recoloured", "instead"
NAMES = {"own": "retrieved", "permuted": "permuted", "none": "no pictures"}


@dataclass(frozen=True)
class Looking:
    """The model that is drawn.

    Attributes:
        model: Its name.
        pictures: Pictures a token that it reads, of those retrieved; None: all.
    """

    model: str
    pictures: int | None = None


def exchange_label(exchange: Mapping[str, Any], instead: str) -> str:
    """What a row of the figure is called."""
    if exchange["name"] == RECOLOURED:
        return f"hue +{exchange['turn']}°"
    if exchange["name"] == INSTEAD:
        return instead
    return NAMES.get(exchange["name"], readable(exchange["name"]).lower())


def moved_shares(sights: Sequence[Sight], words: Sequence[str]) -> pl.DataFrame:
    """Each answer's distribution, mean over seeds, and how far it moved from that to its own pictures.

    Returns:
        ``prompt, model, exchange, seeds, likeliest, share, share_before, moved`` and one column a
        word. ``share`` is that of the word that is likeliest with the retrieved pictures;
        ``moved`` is the total variation distance, 0 to 1, mean over seeds.
    """
    rows = []
    for sight in sights:
        before: dict[str, NDArray[np.float64]] = {}
        for exchange in sight["exchanges"]:
            for model, shares in _by_model(exchange["answers"]).items():
                own = before.setdefault(model, shares)
                mean, place = shares.mean(axis=0), int(own.mean(axis=0).argmax())
                rows.append(
                    {
                        "prompt": sight["prompt"],
                        "model": model,
                        "exchange": exchange_label(exchange, sight["instead"]),
                        "seeds": len(shares),
                        "likeliest": words[place],
                        "share": float(mean[place]),
                        "moved": float(np.abs(shares - own).sum(axis=1).mean() / 2),
                    }
                    | {word: float(share) for word, share in zip(words, mean, strict=True)}
                )
    return pl.DataFrame(rows)


def counterfactual_table(
    sights: Sequence[Sight], words: Sequence[str], name: str = "counterfactuals"
) -> Table:
    """How far every exchange moves each prompt's answer."""
    frame = moved_shares(sights, words)
    shown = as_text(
        frame,
        prompt=str,
        model=model_label,
        exchange=str,
        likeliest=str,
        share=percent,
        moved=percent,
    )
    caption = (
        "The colour that is likeliest with the retrieved pictures, its share among the colour words after each exchange, and how much"
        " of the distribution moved (total variation), mean over seeds. Single prompts illustrate; the controls of the tasks test."
    )
    labels = {
        "model": "Model", "exchange": "Pictures", "likeliest": "Colour", "share": "Its share, %",
        "moved": "Moved, %",
    }  # fmt: skip
    right = ("share", "moved")
    return table(
        name, caption, shown, data=frame, labels=labels, group="prompt", right=right,
        made_by="evaluate/sights",
    )  # fmt: skip


def counterfactual_figure(
    sights: Sequence[Sight],
    words: Sequence[str],
    pictures: Pictures,
    looking: Looking,
    name: str = "counterfactual",
) -> Figure:
    """What a model answers each prompt with its own pictures and with others, as bars of colours.

    Args:
        sights: The prompts.
        words: The colour words whose shares are drawn.
        pictures: Those that are shown, by id.
        looking: Whose answers are drawn.
    """
    rows_of = [_bars(sight, looking) for sight in sights]
    blocks = -(-len(sights) // PANELS_IN_A_ROW)
    height = blocks * (0.55 + ROW_INCHES * max(map(len, rows_of)))
    with house_style():
        figure, axes = canvas(height, blocks, PANELS_IN_A_ROW)
        for sight, bars, axis in zip(sights, rows_of, axes, strict=False):
            for place, (label, shares, shown, turn) in enumerate(bars):
                _stack(axis, place, shares, words)
                _thumbnails(axis, place, label, [pictures[i] for i in shown if i in pictures], turn)
            axis.set_title(f"{sight['prompt']} …", fontweight="bold")
            axis.set_xlim(LABELS_FROM, 1)
            axis.set_ylim(len(bars) - 0.4, -0.6)
            axis.axis("off")
        for axis in axes[len(sights) :]:
            axis.set_visible(False)
        caption = (
            f"What {model_label(looking.model)} takes for the colour when every token of the prompt is given other pictures: those that were retrieved,"
            " the same with their hues turned, those of another thing, the ones a permuted picture base gives, none. The bars are the shares"
            " of the colour words among themselves, drawn in their colours, mean over seeds; beside them the pictures of the last word,"
            f" {MOST_PICTURES} at most. The last row reads no pictures at all."
        )
        return finished(figure, name, caption)


def _by_model(answers: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Shares of each model, [seeds, words]."""
    found: dict[str, list[list[float]]] = {}
    for answer in answers:
        found.setdefault(answer["model"], []).append(answer["shares"])
    return {model: np.array(shares) for model, shares in found.items()}


Bar = tuple[str, NDArray[np.float64], Sequence[int], int]


def _bars(sight: Sight, looking: Looking) -> list[Bar]:
    """Label, mean shares, pictures and turn of each row: the model that looks, then those that cannot."""
    rows: list[Bar] = []
    for exchange in sight["exchanges"]:
        shares = _by_model(exchange["answers"])[looking.model].mean(axis=0)
        label = exchange_label(exchange, sight["instead"])
        rows.append((label, shares, exchange["pictures"][: looking.pictures], exchange["turn"]))
    for model, without in _by_model(sight["without"]).items():
        rows.append((model_label(model), without.mean(axis=0), (), 0))
    return rows


def _stack(axis: Axes, place: int, shares: NDArray[np.float64], words: Sequence[str]) -> None:
    """One bar: the words' shares beside each other, the larger ones named."""
    left = 0.0
    for word, share in zip(words, shares.tolist(), strict=True):
        axis.barh(
            place,
            share,
            left=left,
            height=0.74,
            color=word_colour(word),
            edgecolor=INK,
            linewidth=0.4,
        )
        if share >= FAINTEST_LABEL:
            ink = "#222222" if word in LEGIBLE else "#ffffff"
            axis.text(
                left + share / 2, place, word, ha="center", va="center", fontsize=7, color=ink
            )
        left += share


def _thumbnails(
    axis: Axes, place: int, label: str, images: Sequence[Image.Image], turn: int
) -> None:
    """A row's label, and its pictures left of the bar."""
    if images:
        boxes: list[Artist] = [
            _box(hue_turned(each, turn) if turn else each) for each in images[:MOST_PICTURES]
        ]
        row = HPacker(children=boxes, align="center", pad=0, sep=2)
        _put(axis, row, (PICTURES_TO, place), (1, 0.5), up="data")
    axis.text(LABELS_FROM, place, label, va="center", fontsize=8)


def _box(image: Image.Image) -> OffsetImage:
    small = image.convert("RGBA")
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    return OffsetImage(np.asarray(small), zoom=0.42, interpolation="none", resample=False)


def _put(
    axis: Axes, box: OffsetBox, place: tuple[float, float], alignment: tuple[float, float], up: str
) -> None:
    """Pictures at a place: across in the axis's numbers, up in those or in fractions."""
    at: Any = ("data", up)
    drawn = AnnotationBbox(
        box,
        place,
        xycoords=at,
        box_alignment=alignment,
        frameon=False,
        pad=0,
        annotation_clip=False,
    )
    axis.add_artist(drawn)


def attention_figure(
    sights: Sequence[Sight], pictures: Pictures, looking: Looking, name: str = "attention"
) -> Figure:
    """Where the last token of each prompt looks: at the text before it, and at its pictures.

    Args:
        sights: The prompts.
        pictures: Those that are shown, by id.
        looking: Whose attention is drawn.
    """
    blocks = -(-len(sights) // PANELS_IN_A_ROW)
    with house_style():
        figure, axes = canvas(blocks * 2.1, blocks, PANELS_IN_A_ROW, sharey=True)
        for sight, axis in zip(sights, axes, strict=False):
            _attention(axis, sight, pictures, looking)
        for axis in axes[len(sights) :]:
            axis.set_visible(False)
        for axis in axes[::PANELS_IN_A_ROW]:
            axis.set_ylabel("attention, %")
        caption = (
            f"Attention of the prompt's last token in the layer of {model_label(looking.model)} that reads pictures: grey, to the words; in colour, to the pictures that"
            " were retrieved for it, which label the axis (∅ is a learned null image). Bars are the mean over heads and seeds, dots the seeds; a prompt's bars"
            " sum to 100 %. Attention tells where a model looks, the exchange of pictures what it makes of them."
        )
        return finished(figure, name, caption)


def _attention(axis: Axes, sight: Sight, pictures: Pictures, looking: Looking) -> None:
    mine = [each for each in sight["attention"] if each["model"] == looking.model]
    seeds = 100 * np.array([[*each["text"], *each["pictures"]] for each in mine])
    words, colour = len(sight["tokens"]), model_colour(looking.model)
    places = np.arange(seeds.shape[1]) + 0.6 * (np.arange(seeds.shape[1]) >= words)
    colours = [NEUTRAL] * words + [colour] * (seeds.shape[1] - words)
    axis.bar(places, seeds.mean(axis=0), color=colours, width=0.72)
    for values in seeds:
        axis.plot(places, values, "o", color=INK, alpha=0.45, markersize=2)
    axis.set_title(f"{sight['prompt']} …", fontweight="bold")
    axis.set_xticks(
        places[:words], [text.strip() for text in sight["tokens"]], rotation=45, ha="right"
    )
    axis.tick_params(axis="x", length=0)
    axis.grid(axis="y")
    shown = sight["exchanges"][0]["pictures"][: looking.pictures]
    for place in places[words + len(shown) :].tolist():
        axis.text(place, -0.06, "∅", ha="center", va="top", transform=axis.get_xaxis_transform())
    for place, number in zip(places[words:].tolist(), shown, strict=False):
        if number in pictures:
            box = _box(pictures[number])
            _put(axis, box, (place, -0.06), (0.5, 1), up="axes fraction")
