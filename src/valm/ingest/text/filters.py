"""What keeps web text out: documents of the wrong length or language, and ones that repeat themselves.

The limits of repetition are those of Gopher (Rae et al., 2021, table A1), by which CC-100's kind of
text is cleaned as a rule.
"""

from __future__ import annotations

from collections import Counter

import py3langid
from pydantic import Field

from valm.config.base import Settings

LARGEST_REPEATED_LINES = 0.30  # share of lines that an earlier one equals
LARGEST_REPEATED_CHARACTERS = 0.20  # share of the characters in such lines
LARGEST_PHRASE = {2: 0.20, 3: 0.18, 4: 0.16}  # words of a phrase: the most frequent one's share
CHARACTERS_FOR_LANGUAGE = 1_000


class Filters(Settings):
    """Which documents are left out; nothing is, unless it is asked for."""

    minimum_words: int = Field(0, ge=0, description="Shorter documents are left out.")
    maximum_words: int | None = Field(None, ge=1, description="Longer documents are left out.")
    language: str | None = Field(
        None, pattern="^[a-z]{2}$", description="Two-letter code: other languages are left out."
    )
    repetition: bool = Field(False, description="Leave out documents that repeat themselves.")


def why_left_out(text: str, filters: Filters, languages: Counter[str]) -> str | None:
    """The first filter that a document does not pass: its reason code, or None.

    Args:
        text: The document.
        filters: The filters.
        languages: Counts the languages that were looked at.
    """
    words = text.split()
    if len(words) < filters.minimum_words:
        return "too_few_words"
    if filters.maximum_words is not None and len(words) > filters.maximum_words:
        return "too_many_words"
    if filters.repetition and repeats_itself(text, words):
        return "repeats_itself"
    if filters.language is None:
        return None
    language = language_of(text)
    languages[language] += 1
    return None if language == filters.language else "other_language"


def repeats_itself(text: str, words: list[str]) -> bool:
    """Whether lines or phrases make up more of a document than Gopher's limits allow."""
    lines = Counter(text.split("\n"))
    repeated = lines.total() - len(lines)
    characters = sum((count - 1) * len(line) for line, count in lines.items())
    if repeated > LARGEST_REPEATED_LINES * lines.total():
        return True
    if characters > LARGEST_REPEATED_CHARACTERS * len(text):
        return True
    return any(_phrase_share(words, length) > limit for length, limit in LARGEST_PHRASE.items())


def language_of(text: str) -> str:
    """Two-letter code of a text's language, by its first 1,000 characters.

    The model comes in py3langid's package; a process that asks holds 150 MB of it.
    """
    return str(py3langid.classify(text[:CHARACTERS_FOR_LANGUAGE])[0])


def _phrase_share(words: list[str], length: int) -> float:
    """Share of the words' characters that lie in the most frequent phrase, if it repeats."""
    phrases = Counter(zip(*(words[start:] for start in range(length)), strict=False))
    if not phrases:
        return 0.0
    phrase, count = phrases.most_common(1)[0]
    return count * sum(map(len, phrase)) / sum(map(len, words)) if count > 1 else 0.0
