"""LAMBADA: the last word of a passage that needs the whole passage (Paperno et al. 2016).

The published perplexity is of the tokenised, lower-cased passages, all of their words; the published
accuracy is of a detokenised variant with its typographic quotes made plain, and asks for the last
token only (VALM.md 6.8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from valm.errors import InputError
from valm.evaluate.questions.data_files import CURE, drawn_order, read_json_lines, read_lines
from valm.evaluate.questions.definitions import Decode, Passage, TextTask
from valm.evaluate.questions.perplexity_task import LAST_WORD, TOKEN_PERPLEXITY, WORD_PERPLEXITY
from valm.ingest.text.detokenise import lambada_line
from valm.ingest.text.tokens import TokenStream

DETOKENISED, TOKENISED = "lambada_test", "lambada_test_plain"
PLAIN = "plain"
PLAIN_QUOTES = str.maketrans("‘’“”", "''\"\"")


class Lambada(TextTask):
    """Perplexity of whole passages and their last words."""

    licence = "CC BY 4.0"
    definitions = (
        replace(TOKEN_PERPLEXITY, part=PLAIN, text=f"Tokenised text. {TOKEN_PERPLEXITY.text}"),
        WORD_PERPLEXITY,
        *LAST_WORD,
    )
    raw = (DETOKENISED, TOKENISED)
    sample = 1000  # of 5,153

    def passages(
        self, raw: Mapping[str, Path], test: TokenStream, decode: Decode
    ) -> Iterator[Passage]:
        """Each passage in both variants, in the order of the hashes of the detokenised ones."""
        texts = [row.values["text"] for row in read_json_lines(raw[DETOKENISED], ("text",))]
        plain = [line for _, line in read_lines(raw[TOKENISED])]
        if len(plain) != len(texts):
            what = f"{len(plain):,} passages, {raw[DETOKENISED].name} has {len(texts):,}"
            raise InputError(what, where=raw[TOKENISED], cure=CURE)
        for place in drawn_order(texts, "lambada"):
            yield Passage(str(place), texts[place].translate(PLAIN_QUOTES))
            yield Passage(str(place), lambada_line(plain[place]), PLAIN)


PLUGIN = Lambada()
