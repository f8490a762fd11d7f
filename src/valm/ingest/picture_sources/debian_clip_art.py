"""Open Clip Art from Debian: public-domain drawings, titles and keywords in their SVG twins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path

from valm.ingest.picture_sources import PictureSource, RawPicture
from valm.ingest.raw.archives import read_members

PICTURES, TITLES = "apt_openclipart_png", "apt_openclipart_svg"
PICTURE_FOLDER, TITLE_FOLDER = "usr/share/openclipart/png/", "usr/share/openclipart/svg/"
MAXIMUM_PICTURE_BYTES, MAXIMUM_DRAWING_BYTES = 32 << 20, 16 << 20

# The RDF block is read by pattern, not by an XML parser: the drawings come from anybody.
TITLE = re.compile(rb"<dc:title>\s*([^<]{3,60}?)\s*</dc:title>")
KEYWORD = re.compile(rb"<rdf:li>\s*([^<]{3,30}?)\s*</rdf:li>")
READ_BYTES = 64 << 10  # of a drawing; the RDF block stands at its start or its end
LEFT_OUT = ("/signs_and_symbols/", "/computer/", "/office/", "/special/", "/people/", "/unsorted/",
            "/shapes/", "/games/cards/", "/roadsigns/", "/flags/", "/geography/")  # fmt: skip
PLAIN_NAME = re.compile(r"[a-z]+( [a-z]+){0,2}")
# "truck1", "half_egg", "house (b and w)", "apple by jane", "clipart ...": what is no part of a name.
NOT_NAME = re.compile(r"\d+|\(.*\)|\bby .*|\bclip ?art\b|\bicons?\b|\bsimple\b")
NOT_KEYWORD = {"hash", "clip art", "clipart", "image", "media", "unsorted", "simple"}


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """The drawings of things that have a title, in the package's order."""
    described = {}
    drawings = read_members(raw[TITLES], _is_drawing, MAXIMUM_DRAWING_BYTES)
    for member, data in drawings:
        stem = member.removeprefix(TITLE_FOLDER).removesuffix(".svg")
        described[stem] = title_and_keywords(data[:READ_BYTES] + data[-READ_BYTES:])
    for member, data in read_members(raw[PICTURES], _is_picture, MAXIMUM_PICTURE_BYTES):
        stem = member.removeprefix(PICTURE_FOLDER).removesuffix(".png")
        title, keywords = described.get(stem, ("", ()))
        if title:
            yield RawPicture(
                data=data,
                name=name_in(title),
                captions=(", ".join((title, *keywords)),),
                keywords=keywords,
                licence="public domain",
                origin=member,
            )


def title_and_keywords(drawing: bytes) -> tuple[str, tuple[str, ...]]:
    """Title and keywords in a drawing's RDF block, lower-case; "" where there is no title."""
    found = TITLE.search(drawing)
    title = _text(found.group(1)) if found else ""
    keywords = (_text(keyword) for keyword in KEYWORD.findall(drawing))
    plain = (k for k in keywords if PLAIN_NAME.fullmatch(k) and k not in NOT_KEYWORD)
    return title, tuple(dict.fromkeys(plain))


def name_in(title: str) -> str:
    """What a title names in one to three words, or "" where it says more."""
    bare = " ".join(NOT_NAME.sub(" ", title.replace("_", " ")).split())
    return bare if PLAIN_NAME.fullmatch(bare) else ""


def _text(data: bytes) -> str:
    return unescape(data.decode("utf-8", errors="replace")).strip().lower()


def _is_drawing(member: str) -> bool:
    return member.startswith(TITLE_FOLDER) and member.endswith(".svg")


def _is_picture(member: str) -> bool:
    wanted = member.startswith(PICTURE_FOLDER) and member.endswith(".png")
    return wanted and not any(folder in member for folder in LEFT_OUT)


PLUGIN = PictureSource(pictures, raw=(PICTURES, TITLES))
