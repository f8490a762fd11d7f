"""Words of token streams: which they are, and which tokens spell each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valm.ingest.probes import COLOURS, held_out_words
from valm.ingest.vocabulary.tokenizer import Tokenizer

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
WORD_OR_SIGN = re.compile(WORD.pattern + r"|[^\s\w]|\d")
COLOUR_WORDS = frozenset(COLOURS) | {"gray"}


class Words(NamedTuple):
    """The words and signs of some ids.

    Attributes:
        texts: Lower-case words and signs.
        first: The first token of each, [words].
        last: The last token of each, [words].
    """

    texts: list[str]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class WordReader:
    """Reads the words that ids spell."""

    def __init__(self, tokenizer: Tokenizer):
        self._texts = [tokenizer.token_text(token) for token in range(tokenizer.vocabulary_size)]

    def read(self, ids: Sequence[int] | NDArray[np.integer]) -> Words:
        """Find the words and the tokens they are spelled with."""
        texts = [self._texts[token] for token in ids]
        ends = np.cumsum([len(text) for text in texts])
        found = list(WORD_OR_SIGN.finditer("".join(texts).lower()))
        last = np.searchsorted(ends, [match.end() - 1 for match in found], side="right")
        first = np.concatenate([[0], last[:-1] + 1]) if found else last  # spaces lead their word
        return Words([match.group() for match in found], first, last)

    def without_colours(self, ids: NDArray[np.int64], always: bool = False) -> NDArray[np.int64]:
        """The ids without colour words, if a word of a probe's object is among them.

        Args:
            always: Leave colour words out of any ids.
        """
        words = self.read(ids)
        if not always and held_out_words().isdisjoint(words.texts):
            return ids
        keep = np.ones(len(ids), bool)
        for text, first, last in zip(*words, strict=True):
            if text in COLOUR_WORDS:
                keep[first : last + 1] = False
        return ids[keep]
