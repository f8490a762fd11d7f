"""Cleaning: one spelling of each character, no control characters, single spaces."""

from __future__ import annotations

import re
import unicodedata

import ftfy

# Controls, soft hyphens, joiners and marks of direction, private characters, lone surrogates, tags.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff0-\uffff\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
NOTHING_TO_MEND = re.compile(r"[\t\n\x20-\x25\x27-\x7e]*")  # ASCII without HTML entities


def clean_text(text: str, third_party: bool) -> str:
    """Clean a document: NFC, no invisible characters, folded white space, no empty lines.

    Args:
        third_party: Also mend mistaken encodings and HTML entities (ftfy).

    Returns:
        Lines joined by newlines; empty if nothing is left.
    """
    if third_party and not NOTHING_TO_MEND.fullmatch(text):
        text = ftfy.fix_text(text)
    visible = (INVISIBLE.sub("", line) for line in text.splitlines())
    lines = (unicodedata.normalize("NFC", " ".join(line.split())) for line in visible)
    return "\n".join(line for line in lines if line)
