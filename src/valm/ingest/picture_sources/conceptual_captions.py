"""Conceptual Captions, or any table of caption, tab and address: downloaded as LAION is."""

from __future__ import annotations

from valm.ingest.picture_sources import PictureSource
from valm.ingest.pictures.url_pictures import URL_SHARDS

PLUGIN = PictureSource(planned=URL_SHARDS)
