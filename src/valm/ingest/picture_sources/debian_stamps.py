"""Tux Paint's stamps from Debian: cut-out photos and drawings, each with one English sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from valm.ingest.archives import read_members
from valm.ingest.picture_sources import PictureSource, RawPicture

PACKAGE = "apt_tuxpaint_stamps"
FOLDER = "usr/share/tuxpaint/stamps/"
MAXIMUM_SENTENCE_BYTES, MAXIMUM_PICTURE_BYTES = 64 << 10, 16 << 20

# "A yellow lemon." -> "lemon": an article, words that describe, and the thing.
ARTICLE = re.compile(r"^(an?|the|some|one|two|three)\s+", re.IGNORECASE)
PLAIN_NAME = re.compile(r"[a-z]+( [a-z]+)?")


def pictures(raw: Mapping[str, Path]) -> Iterator[RawPicture]:
    """All stamps that have a sentence, in the package's order."""
    texts = read_members(raw[PACKAGE], _in_folder(".txt"), MAXIMUM_SENTENCE_BYTES)
    sentences = {name.removesuffix(".txt"): _first_line(data) for name, data in texts}
    for member, data in read_members(raw[PACKAGE], _in_folder(".png"), MAXIMUM_PICTURE_BYTES):
        sentence = sentences.get(member.removesuffix(".png"), "")
        if sentence:
            name = name_in(sentence)
            yield RawPicture(data=data, name=name, captions=(sentence,), licence="GPL-2",
                             origin=member)  # fmt: skip


def name_in(sentence: str) -> str:
    """What a stamp's sentence names, or "" where it says more than a name: "A lemon." -> "lemon"."""
    bare = ARTICLE.sub("", sentence.lower().strip(" .!"))
    return bare if PLAIN_NAME.fullmatch(bare) else ""


def _in_folder(ending: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(FOLDER) and name.endswith(ending)


def _first_line(data: bytes) -> str:
    lines = data.decode("utf-8", errors="replace").splitlines()
    return lines[0].strip() if lines else ""


PLUGIN = PictureSource(pictures, raw=(PACKAGE,))
