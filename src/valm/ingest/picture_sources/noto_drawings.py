"""Noto drawings, each with the Unicode name of what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.ingest.picture_sources import PictureSource, RawPicture
from valm.ingest.pictures.captioned_folder import captioned_pictures
from valm.ingest.pictures.emoji import plain_name

COLLECTION = "noto_drawings"
# Letters, digits, flags and signs are no pictures of things.
SIGN = re.compile(
    r"\b(sign|letter|digit|regional|keycap|button|arrow|arrows|symbol|squared|ideograph|input|mark|"
    r"emoji modifier|emoji component|asterisk|clock face|japanese|triangle|vertical bar|loop|emblem|"
    r"index|for stop|for record|aries|taurus|gemini|cancer|leo|virgo|libra|scorpius|sagittarius|"
    r"capricorn|aquarius|pisces|ophiuchus)\b"
)
# Nor are faces, but those of animals (and of moons and suns, "with face").
FACE = re.compile(r"\bface\b")
HEAD = re.compile(
    r"(mouse|cow|tiger|rabbit|cat|dragon|horse|monkey|dog|pig|frog|hamster|wolf|bear|panda|lion|"
    r"unicorn|fox|giraffe|zebra|robot|clown) face|.* with face"
)
# "Black" and "white" mean filled and outlined here, as in print, save in names of colours.
RED_HEART = "heavy black heart"
OF_PRINT = re.compile(r"\b(black|white) (?!heart$|cat$|flag$|circle$|(\w+ )*square$)")


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """The drawings of things, in the order of their code points."""
    for drawing in captioned_pictures(raw[COLLECTION]):
        unicode_name = drawing.rows[0]["unicode_name"].lower()
        if SIGN.search(unicode_name) or (
            FACE.search(unicode_name) and not HEAD.fullmatch(unicode_name)
        ):
            continue
        name = name_of(unicode_name)
        yield RawPicture(
            data=drawing.data,
            name=name,
            captions=(name,),
            licence="Apache-2.0",
            origin=drawing.file,
        )


def name_of(unicode_name: str) -> str:
    """The everyday name: "black scissors" are scissors, the "heavy black heart" is red."""
    if unicode_name == RED_HEART:
        return "red heart"
    return plain_name(OF_PRINT.sub("", unicode_name))


PLUGIN = PictureSource(pictures, raw=(COLLECTION,))
