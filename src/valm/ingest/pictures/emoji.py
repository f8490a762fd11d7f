"""Emoji as named pictures: which ones show a thing, what it is called, how people find it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valm.ingest.picture_sources import RawPicture
from valm.ingest.raw.archives import read_member, read_members

NAMES, KEYWORDS = "npm_emoji_datasource_google", "npm_emojilib"
MAXIMUM_TABLE_BYTES = 16 << 20
MAXIMUM_PICTURE_BYTES = 1 << 20

# Subcategories that show things; faces, gestures, people, flags and signs are left out.
THINGS = {
    "Animals & Nature": None,
    "Food & Drink": None,
    "Activities": None,
    "Objects": None,
    "Travel & Places": {"hotel", "place-building", "place-geographic", "place-map", "place-other",
                        "place-religious", "sky & weather", "transport-air", "transport-ground",
                        "transport-water"},
    "Smileys & Emotion": {"heart", "monkey-face", "cat-face"},
    "People & Body": {"body-parts"},
    "Symbols": {"geometric"},
}  # fmt: skip

# "Black" and "white" in a code point's name mean filled and outlined, as in print: HEAVY BLACK HEART
# is the red heart.
OF_PRINT = {"black", "white", "heavy"}
# Words of a code point's name that say how it is drawn, not what it shows.
DRAWN = re.compile(r"\b((with )?face|symbol|heavy|large|small|medium)\b")


@dataclass(frozen=True)
class Emoji:
    """An emoji that shows a thing: its file stem, name and keywords."""

    stem: str
    name: str
    keywords: tuple[str, ...]


def emoji_pictures(
    raw: Mapping[str, Path], package: str, folder: str, ending: str, licence: str
) -> Iterator[RawPicture]:
    """The pictures of one rendering, in the archive's order.

    Args:
        raw: Raw files by name: the rendering's package and those of names and keywords.
        package: Name of the rendering's package in the lock.
        folder: Folder of the pictures inside the package.
        ending: File name's ending, with the dot.
        licence: Licence of the artwork.
    """
    files = {f"{folder}/{emoji.stem}{ending}": emoji for emoji in emoji_of_things(raw)}
    for member, data in read_members(raw[package], files.__contains__, MAXIMUM_PICTURE_BYTES):
        emoji = files[member]
        yield RawPicture(
            data=data,
            name=emoji.name,
            captions=(caption_of(emoji),),
            keywords=emoji.keywords,
            licence=licence,
            origin=member,
        )


def caption_of(emoji: Emoji) -> str:
    """Name and keywords as alt text would have them: "banana, fruit, food, monkey"."""
    return ", ".join(dict.fromkeys((emoji.name, *emoji.keywords)))


def emoji_of_things(raw: Mapping[str, Path]) -> list[Emoji]:
    """All emoji that show a thing, in the order of the table of names."""
    table = json.loads(read_member(raw[NAMES], "package/emoji.json", MAXIMUM_TABLE_BYTES))
    found_by = json.loads(
        read_member(raw[KEYWORDS], "package/dist/emoji-en-US.json", MAXIMUM_TABLE_BYTES)
    )
    keywords = {sign.replace("\ufe0f", ""): found for sign, found in found_by.items()}
    things = []
    for row in table:
        if not _shows_a_thing(row):
            continue
        points = row["unified"].split("-")
        sign = "".join(chr(int(point, 16)) for point in points).replace("\ufe0f", "")
        found = keywords.get(sign, [])
        # The keyword list begins with the everyday name; the code point's is the second choice.
        formal = (row["name"] or row["short_name"]).lower()
        name = plain_name(found[0].replace("_", " ") if found else formal)
        in_print = OF_PRINT.intersection(formal.split()).difference(name.split())
        words_for_it = tuple(w for w in _plain_keywords(found, name) if w not in in_print)
        things.append(Emoji(row["unified"].lower(), name, words_for_it))
    return things


def _shows_a_thing(row: Mapping[str, Any]) -> bool:
    """Whether it is of a chosen category and not drawn in the yellow of no skin."""
    if row["category"] not in THINGS or "skin_variations" in row:
        return False
    chosen = THINGS[row["category"]]
    return chosen is None or row["subcategory"] in chosen


def plain_name(sign_name: str) -> str:
    """A sign's name without the words that say how it is drawn: "large red circle", "dog face"."""
    plain = re.sub(r"\s+", " ", DRAWN.sub(" ", sign_name)).replace(" s ", "'s ").strip(" -:")
    return plain or sign_name


def _plain_keywords(keywords: list[str], name: str) -> tuple[str, ...]:
    """Keywords that are words: no emoticons, no repetition of the name."""
    words = (keyword.replace("_", " ").lower() for keyword in keywords[1:])
    return tuple(
        dict.fromkeys(w for w in words if re.fullmatch(r"[a-z][a-z' -]+", w) and w != name)
    )
