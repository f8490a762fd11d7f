"""Tokenised evaluation text as the official code had it before CLIP's BPE (docs/parity.md).

WikiText comes in the Moses tokenizer's spelling, signs apart from words and from each other. The
official files were made from text that the Moses detokeniser had joined again. CLIP's BPE drops spaces
but keeps runs of signs together, so that only the joints between signs are to be found again.
"""

from __future__ import annotations

import re
import unicodedata

JOINED_TO_THE_LEFT = re.compile(r"[,.?!:;\\%}\])]+")
QUOTES = re.compile(r"['\"`„“]+")
LOW_AND_HIGH_QUOTES = re.compile(r"[„“]+")
# Hangul, radicals to Yi (Han and kana among them), compatibility forms, half-width kana.
EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\ua4cf\ua840-\ua87f\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff65-\uffdc]"
)


def wikitext_line(line: str) -> str:
    """A line of raw WikiText with its signs joined, by the rules of the Moses detokeniser for English.

    ``@-@`` becomes a hyphen, whereas ``@,@`` and ``@.@`` stay. Stops and closing brackets join the word
    before them, currency signs and opening brackets the word behind, contractions the word before.
    Quotes open and close in turn; an apostrophe behind an s that no quote has opened is a genitive's.
    """
    text, last, joined, opened = "", "", True, set[str]()
    for token in f" {line} ".replace(" @-@ ", "-").split():
        before = behind = False
        if EAST_ASIAN.match(token):
            before = bool(EAST_ASIAN.match(last[-1:]))
        elif all(sign in "([{¿¡" or unicodedata.category(sign) == "Sc" for sign in token):
            behind = True
        elif JOINED_TO_THE_LEFT.fullmatch(token) or (
            last and token[0] == "'" and token[1:2].isalpha()
        ):
            before = True
        elif QUOTES.fullmatch(token):
            quote = '"' if LOW_AND_HIGH_QUOTES.fullmatch(token) else token
            before = quote in opened or (token == "'" and last.endswith("s"))
            behind = not before
            opened = opened | {quote} if behind else opened - {quote}
        text += token if joined or before else f" {token}"
        last, joined = token, behind
    return text


def lambada_line(line: str) -> str:
    """A line of the plain LAMBADA text with the two-character quotes of the Penn Treebank as ``"``."""
    return line.replace("``", '"').replace("''", '"')
