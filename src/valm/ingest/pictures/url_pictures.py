"""Pictures whose shards were downloaded by the study, or before it by img2dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from valm.ingest.picture_sources import PlannedShards, RawPicture
from valm.ingest.pictures.tars import tar_pictures
from valm.ingest.pictures.url_list import UrlParams


def _pictures(
    params: UrlParams, shard: int, downloaded: Path | None, rejected: Counter[str]
) -> Iterator[RawPicture]:
    if downloaded is None:
        assert params.downloaded is not None  # else there would be a download
        downloaded = params.downloaded / f"{shard:05d}.tar"
    return tar_pictures(downloaded, params.licence, rejected)


URL_SHARDS = PlannedShards(
    params=UrlParams,
    count=lambda params: int(params.shards),
    downloads=lambda params: params.downloaded is None,
    pictures=_pictures,
)
