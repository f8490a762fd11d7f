"""LAION: metadata in parquet files, pictures downloaded by img2dataset, or its shards that are there."""

from __future__ import annotations

from valm.ingest.picture_sources import PictureSource
from valm.ingest.pictures.url_pictures import URL_SHARDS

PLUGIN = PictureSource(planned=URL_SHARDS)
