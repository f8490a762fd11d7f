"""Twemoji, renderings at 64 pixels."""

from __future__ import annotations

from functools import partial

from valm.ingest.picture_sources import PictureSource
from valm.ingest.pictures.emoji import KEYWORDS, NAMES, emoji_pictures

PACKAGE = "npm_emoji_datasource_twitter"

PLUGIN = PictureSource(
    pictures=partial(
        emoji_pictures,
        package=PACKAGE,
        folder="package/img/twitter/64",
        ending=".png",
        licence="CC BY 4.0",
    ),
    raw=tuple(dict.fromkeys((PACKAGE, NAMES, KEYWORDS))),
)
