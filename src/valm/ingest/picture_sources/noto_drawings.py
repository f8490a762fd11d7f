"""Noto drawings, each with the Unicode name of what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.ingest.captioned_folder import captioned_pictures
from valm.ingest.emoji import plain_name
from valm.ingest.picture_sources import PictureSource, RawPicture

COLLECTION = "noto_drawings"
# Letters, digits, flags and signs are no pictures of things.
SIGN = re.compile(
    r"\b(sign|letter|digit|regional|keycap|button|arrow|arrows|symbol|squared|ideograph|input|mark|"
    r"emoji modifier|asterisk|copyright|registered|clock face|japanese|zodiac)\b"
)


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """The drawings of things, in the order of their code points."""
    for drawing in captioned_pictures(raw[COLLECTION]):
        unicode_name = drawing.rows[0]["unicode_name"].lower()
        if SIGN.search(unicode_name):
            continue
        name = plain_name(unicode_name)
        yield RawPicture(
            data=drawing.data,
            name=name,
            captions=(name,),
            licence="Apache-2.0",
            origin=drawing.file,
        )


PLUGIN = PictureSource(pictures, raw=(COLLECTION,))
