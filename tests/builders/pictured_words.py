"""A small vocabulary and a list of named pictures, to read sentences with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.ingest.vocabulary.bpe import train_bpe
from valm.ingest.vocabulary.tokenizer import END_OF_TEXT, Tokenizer

TEXTS = [
    "the whale is a large animal of the sea.",
    "a blue whale is a whale with a soft, blue skin.",
    "in winter snow, like rain, falls on the roof of the hut. snow and ice are cold.",
    "a banana is a long yellow fruit. bananas grow on a tall plant of the tropics.",
    "the hammer of the smith lies beside the grapes and the red wine.",
    "a large soft cushion and a soft hat lay on the sofa of the hotel.",
]


def small_tokenizer(texts: Sequence[str] = TEXTS) -> Tokenizer:
    """A vocabulary in which most words are several tokens."""
    return Tokenizer(train_bpe(texts, 360, (), END_OF_TEXT), "bpe", END_OF_TEXT)


def picture(number: int, name: str, *keywords: str) -> dict[str, Any]:
    """A row of the picture list."""
    caption = ", ".join((name, *keywords))
    return {"id": number, "name": name, "keywords": list(keywords), "caption": caption}


PICTURES = [
    picture(0, "whale", "animal", "sea"),
    picture(1, "whale", "animal", "sea"),
    picture(2, "spouting whale", "sea"),
    picture(3, "banana", "fruit", "yellow"),
    picture(4, "snow capped hut", "soft"),
    picture(5, "hammer", "tool", "blue"),
    picture(6, "grapes", "fruit"),
]


def ids_of(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    """A text's ids as the streams hold them."""
    return np.array(tokenizer.encode(text), np.int64)
