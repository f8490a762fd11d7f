"""Perplexity as published and as corrected: the metrics that all text tasks share."""

from __future__ import annotations

from valm.evaluate.questions.definitions import Definition

TOKEN_PERPLEXITY = Definition(
    "perplexity",
    "legacy",
    "Perplexity a token; blocks of the context's length are scored alone, end of text included.",
    scorer="token_perplexity",
)
LINE_PERPLEXITY = Definition(
    "perplexity",
    "legacy",
    "Perplexity a token, every line alone, end of text included; lines of more than 512 tokens left out.",
    scorer="line_perplexity",
    version=2,
)
WORD_PERPLEXITY = Definition(
    "perplexity",
    "corrected",
    "Perplexity a word: all bits of a passage over its words; the context slides by half its length.",
    scorer="word_perplexity",
)
PERPLEXITY = (TOKEN_PERPLEXITY, WORD_PERPLEXITY)
LAST_PIECE = Definition(
    "last_word",
    "legacy",
    "Share of passages whose last token is the most likely one; earlier pieces of the word are given.",
    scorer="last_piece",
)
WHOLE_WORD = Definition(
    "last_word",
    "corrected",
    "Share of passages of whose last word every piece is the most likely.",
    scorer="whole_word",
)
LAST_WORD = (LAST_PIECE, WHOLE_WORD)
