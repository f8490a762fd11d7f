"""Fluent emoji, three-dimensional renderings at 256 pixels."""

from __future__ import annotations

from functools import partial

from valm.ingest.picture_sources import PictureSource
from valm.ingest.pictures.emoji import KEYWORDS, NAMES, emoji_pictures

PACKAGE = "npm_fluent_emoji"

PLUGIN = PictureSource(
    pictures=partial(
        emoji_pictures, package=PACKAGE, folder="package/assets", ending=".webp", licence="MIT"
    ),
    raw=tuple(dict.fromkeys((PACKAGE, NAMES, KEYWORDS))),
)
