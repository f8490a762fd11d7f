"""Which pictures a phrase of a sentence speaks of.

A phrase speaks of the pictures that it names; if there are none, of those whose name ends with it
("apple": red apple, green apple), else contains it, else of those that have it as a keyword. Names
and phrases are compared in singular and plural.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.embed.words import COLOUR_WORDS, WORD
from valm.ingest.nouns import plural

LONGEST_PHRASE_WORDS = 4
# A word names a thing if its phrase mostly ends with it: "snow" before a comma, a verb, a
# preposition; not so "soft", before a noun. After a verb or an adverb any word may end a phrase.
ENDS_A_PHRASE = frozenset(
    "is are was were has have had of in with and or that which who for to on by from as at can used"
    " having when than but consisting made containing where after during into".split()
)
TELLS_NOTHING = frozenset(
    "is are was were be more very too as not being been to who that which or they it".split()
)
EVIDENCE, THING_SHARE = 3, 0.42
# Words above this share of the text, and this count, name nothing in particular.
COMMONEST_SHARE, COMMON_COUNT = 1.5e-3, 20
NAMELESS = COLOUR_WORDS | {"color", "colour"}
MOST_PICTURES_OF_A_KEYWORD = 50  # "nature" is a keyword of hundreds


@dataclass(frozen=True)
class Mentions:
    """Phrases and the pictures that each speaks of.

    Attributes:
        numbers: Number of each phrase's set of pictures, singular and plural alike.
        names: One phrase for each number.
        pictures: Picture ids of each number, int64 arrays.
        exact: Whether the phrase is a picture's whole name, [numbers].
    """

    numbers: dict[str, int]
    names: list[str]
    pictures: list[NDArray[np.int64]]
    exact: NDArray[np.bool_]

    def find(self, words: Sequence[str]) -> list[tuple[int, int, int]]:
        """The phrases in a sentence, longest first from the left: (first word, end, number)."""
        found = []
        start = 0
        while start < len(words):
            for length in range(min(LONGEST_PHRASE_WORDS, len(words) - start), 0, -1):
                number = self.numbers.get(" ".join(words[start : start + length]))
                if number is not None:
                    found.append((start, start + length, number))
                    start += length - 1
                    break
            start += 1
        return found


def find_mentions(pictures: Sequence[dict[str, Any]], text: Iterable[Sequence[str]]) -> Mentions:
    """Collect the phrases that speak of pictures.

    Args:
        pictures: Rows of the picture list that are kept: ``id``, ``name``, ``keywords``.
        text: Sentences as words and signs; they tell which words are things and which are too common.
    """
    tiers: list[dict[str, set[int]]] = [{}, {}, {}, {}]
    for picture in pictures:
        words = WORD.findall(picture["name"])
        if words:
            _note(tiers[0], " ".join(words), picture["id"])
            _note(tiers[1], words[-1], picture["id"])
        for word in words:
            _note(tiers[2], word, picture["id"])
        for keyword in picture["keywords"]:
            _note(tiers[3], " ".join(WORD.findall(keyword)), picture["id"])
    is_thing = _things(text)
    chosen: dict[str, set[int]] = {}
    for tier in tiers:
        for phrase, ids in tier.items():
            usable = bool(phrase) and phrase not in NAMELESS
            usable &= tier is tiers[0] or is_thing(phrase)
            usable &= tier is not tiers[3] or len(ids) <= MOST_PICTURES_OF_A_KEYWORD
            if usable:
                chosen.setdefault(phrase, ids)
    return _numbered(chosen, tiers[0])


def _note(tier: dict[str, set[int]], phrase: str, picture: int) -> None:
    tier.setdefault(phrase, set()).add(picture)


def _numbered(chosen: dict[str, set[int]], exact: dict[str, set[int]]) -> Mentions:
    names = sorted(chosen)
    numbers = {name: number for number, name in enumerate(names)}
    for name in names:
        numbers.setdefault(plural(name), numbers[name])
    return Mentions(
        numbers,
        names,
        [np.array(sorted(chosen[name])) for name in names],
        np.array([name in exact for name in names]),
    )


def _things(text: Iterable[Sequence[str]]) -> Callable[[str], bool]:
    """A test of words: does a word name a thing, as far as the text tells?"""
    count: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    last: Counter[str] = Counter()
    for words in text:
        count.update(words)
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
            if before not in TELLS_NOTHING:
                seen[word] += 1
                last[word] += after in ENDS_A_PHRASE or not WORD.fullmatch(after)
    most = max(COMMON_COUNT, COMMONEST_SHARE * sum(count.values()))

    def is_thing(phrase: str) -> bool:
        if " " in phrase:
            return True
        too_plain = len(phrase) < 3 or count[phrase] > most
        return not too_plain and (
            seen[phrase] < EVIDENCE or last[phrase] >= THING_SHARE * seen[phrase]
        )

    return is_thing
