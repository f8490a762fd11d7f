"""Tux Paint's stamps from Debian: cut-out photos and drawings, each with one English sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from valm.ingest.picture_sources import PictureSource, RawPicture
from valm.ingest.raw.archives import read_members

PACKAGE = "apt_tuxpaint_stamps"
FOLDER = "usr/share/tuxpaint/stamps/"
MAXIMUM_SENTENCE_BYTES, MAXIMUM_PICTURE_BYTES = 64 << 10, 16 << 20

# Letters, digits and notes are no pictures of things.
LEFT_OUT = ("/symbols/alphabets/", "/symbols/math/", "/symbols/music/", "/symbols/shapes/")
COUNTED = re.compile(
    r"^(an?|the|some|one|two|three|four|five)\s+((pair|couple|bunch|cluster|slice) of\s+)?"
)
ASIDE = re.compile(r'\([^)]*\)|["“”]')
PLAIN_NAME = re.compile(r"[a-z-]+( [a-z-]+){0,2}")
SAYS_MORE = re.compile(r"\b(is|are|was|has|have|of|in|on|with|and|for|to|it|this|these|my|you)\b")


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """All stamps that have a sentence, in the package's order."""
    texts = read_members(raw[PACKAGE], _in_folder(".txt"), MAXIMUM_SENTENCE_BYTES)
    sentences = {name.removesuffix(".txt"): _first_line(data) for name, data in texts}
    for member, data in read_members(raw[PACKAGE], _in_folder(".png"), MAXIMUM_PICTURE_BYTES):
        sentence = sentences.get(member.removesuffix(".png"), "")
        if sentence and not any(folder in member for folder in LEFT_OUT):
            name = name_in(sentence)
            yield RawPicture(data=data, name=name, captions=(sentence,), licence="GPL-2",
                             origin=member)  # fmt: skip


def name_in(sentence: str) -> str:
    """What a stamp's sentence names, or "" where it says more than a name: "A lemon." -> "lemon"."""
    bare = COUNTED.sub("", " ".join(ASIDE.sub("", sentence.lower()).strip(" .!").split()))
    return bare if PLAIN_NAME.fullmatch(bare) and not SAYS_MORE.search(bare) else ""


def _in_folder(ending: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(FOLDER) and name.endswith(ending)


def _first_line(data: bytes) -> str:
    lines = data.decode("utf-8", errors="replace").splitlines()
    return lines[0].strip() if lines else ""


PLUGIN = PictureSource(pictures, raw=(PACKAGE,))
