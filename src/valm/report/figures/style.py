"""Names and colours: one label and one colour a model, one colour a colour word.

The models' palette is Okabe and Ito's (2008), which readers with any colour vision can tell apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

INK = "#101418"  # stands for the page's own text colour; figures turn it into currentColor

MODEL_LABELS = {
    "gpt2_star": "GPT-2*",
    "valm": "VaLM",
    "valm_random": "VaLM trained on random pictures",
    "valm_text_state": "VaLM on the text state",
    "bert": "BERT",
    "caption_bert": "CaptionBERT",
    "clip": "CLIP",
    "gpt2": "GPT-2",
    "opt": "OPT",
    "oscar": "OSCAR",
    "visual_bert": "VisualBERT",
}
CONTROL_LABELS = {
    "permuted": "pictures permuted",
    "random": "random pictures",
    "zero": "zero pictures",
    "none": "pictures off",
    "oracle": "the things' own pictures",
    "text_state": "text state",
}
MODEL_COLOURS = {
    "gpt2_star": "#7d8590",
    "valm": "#0f7bbf",
    "valm_random": "#e69f00",
    "valm_text_state": "#009e73",
    "valm:permuted": "#d55e00",
    "valm:random": "#cc79a7",
    "valm:zero": "#56b4e9",
    "valm:none": "#8c6bb1",
    "valm:oracle": "#66a61e",
}
SPARE_COLOURS = (
    "#a6761d", "#e7298a", "#7b52c7", "#1b9e9e", "#c9364a", "#7a8b00", "#5a72d8", "#9a6a4a",
)  # fmt: skip

COLOUR_WORDS = {
    "black": "#2b2b2b",
    "blue": "#3572c6",
    "brown": "#8a5a34",
    "green": "#3f9142",
    "grey": "#8d9296",
    "gray": "#8d9296",
    "orange": "#ee8a1f",
    "pink": "#ef8fb3",
    "purple": "#8250a8",
    "red": "#d0342c",
    "white": "#f4f1ea",
    "yellow": "#f0cb2f",
}
NEUTRAL = "#9aa0a6"

TASK_LABELS = {
    "colour": "Colour of things",
    "memory_color": "MemoryColor",
    "color_terms": "ColorTerms",
    "shape": "Shape of things",
    "object_shape": "ObjectShape",
    "size": "Relative size",
    "relative_size": "RelativeSize",
    "held_out_text": "Held-out text",
    "wikitext103": "WikiText-103",
    "lambada": "LAMBADA",
    "sentiment": "Sentiment",
    "sst2": "SST-2",
    "mpqa": "MPQA",
    "topic": "Topic",
    "ag_news": "AG News",
    "dbpedia": "DBPedia-14",
}


METRIC_LABELS = {
    "accuracy_140": "accuracy, all 140",
    "accuracy_calibrated": "accuracy, calibrated (PMI)",
    "accuracy_dev": "accuracy, dev half",
    "accuracy_uncalibrated": "accuracy, uncalibrated",
    "accuracy_uncalibrated_140": "accuracy, uncalibrated, all 140",
    "last_word": "last word",
    "macro_f1": "macro-F1",
    "macro_f1_140": "macro-F1, all 140",
    "pair_consistency": "both orders right",
    "perplexity_colour_notes": "perplexity of the colour notes",
}


def readable(name: str) -> str:
    """A name from the configuration as words: ``held_out_text`` -> ``Held out text``."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def in_reading_order(tasks: Iterable[str]) -> list[str]:
    """Tasks as readers meet them: those on colours first, unknown ones last."""
    known = list(TASK_LABELS)
    return sorted(tasks, key=lambda task: known.index(task) if task in known else len(known))


def metric_label(metric: str) -> str:
    """The metric's name in tables."""
    return METRIC_LABELS.get(metric, metric.replace("_", " "))


def task_label(task: str) -> str:
    """The task's name in tables and figures."""
    return TASK_LABELS.get(task, readable(task))


def model_label(model: str, control: str = "own") -> str:
    """The model's name in tables and figures; a control at evaluation is named after it."""
    label = MODEL_LABELS.get(model) or _variant_label(model)
    if control == "own":
        return label
    return f"{label}, {CONTROL_LABELS.get(control, readable(control).lower())} at evaluation"


def _variant_label(model: str) -> str:
    """Variants of VaLM are named after it: ``valm_k1`` -> "VaLM, K = 1"."""
    if not model.startswith("valm_"):
        return readable(model)
    rest = re.sub(r"\bk(\d+)", r"K = \1", model.removeprefix("valm_").replace("_", " "))
    return "VaLM, " + re.sub(r"([a-z])(\d)", r"\1 \2", rest)


def model_colours(rivals: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The colour of each model and control beside each other, in their order; no two are alike.

    Names without a colour of their own take the spare ones by name, models before their controls,
    so that figures of the same models agree. Only more of them than there are spare colours share one.
    """
    shown = list(dict.fromkeys(rivals))
    unnamed = [rival for rival in shown if _colour_key(*rival) not in MODEL_COLOURS]
    unnamed.sort(key=lambda rival: (rival[1] != "own", rival))
    spare = {r: SPARE_COLOURS[i % len(SPARE_COLOURS)] for i, r in enumerate(unnamed)}
    return {rival: spare.get(rival) or MODEL_COLOURS[_colour_key(*rival)] for rival in shown}


def model_colour(model: str, control: str = "own") -> str:
    """The colour of a model that stands alone, or has one of its own."""
    return model_colours([(model, control)])[model, control]


def _colour_key(model: str, control: str) -> str:
    return model if control == "own" else f"{model}:{control}"


def word_colour(word: str) -> str:
    """The colour that a colour word names; grey for any other word."""
    return COLOUR_WORDS.get(word.strip().lower(), NEUTRAL)
