"""``extract-features``: what a packaged network and the pixels say of every kept picture.

Done once a picture list, so that training towers reads a small table and no pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from valm.config.embed import Features
from valm.core.growing_table import GrowingTable
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.progress import Tracker
from valm.embed.batches import batches
from valm.embed.features.layout import FEATURE_WIDTH, NETWORK_WIDTH, PACKAGE
from valm.embed.features.network import as_input, load_feature_network, network_features
from valm.errors import SourceError
from valm.ingest.pictures.decoding import on_white
from valm.ingest.pictures.numbering import iterate_transparent_pictures
from valm.ingest.pictures.pixel_colours import colour_histogram
from valm.ingest.probes import COLOURS
from valm.ingest.raw.sources import raw_path

KIND = "features"
PICTURES_PER_BLOCK = 256  # what a killed run loses at most
PICTURES_PER_BATCH = 16  # more leave the processor's cache: a third slower a picture


def extract_features(job: Job, *, pictures: Path, raw: Sequence[Path], output: Path) -> None:
    """Write ``features.npy``, float16 [pictures, 2291]: network features, then colour shares.

    Args:
        pictures: The picture list's manifest.
        raw: Manifests of raw files, the network's package among them.
        output: ``features.manifest.json``.

    Raises:
        SourceError: The network's package is unavailable.
    """
    settings = job.settings("embed.features", Features)
    count = read_manifest(pictures, "picture_list").rows
    network = network_of(raw)
    torch.set_num_threads(job.threads)
    parents = [pictures, *raw]
    with job.work(parents) as work, Tracker("extracting features", count, "pictures") as tracker:
        table = GrowingTable(work, count, {"features": (FEATURE_WIDTH, np.float16)})
        tracker.advance(table.done)
        for block in batches(
            iterate_transparent_pictures(pictures, table.done), PICTURES_PER_BLOCK
        ):
            table.append(features=features_of(network, [image for _, image in block], settings))
            tracker.advance(len(block))
        job.finish(
            output,
            kind=KIND,
            rows=count,
            files=table.publish(output.parent),
            parents=parents,
            facts={"network_width": NETWORK_WIDTH, "colours": list(COLOURS), "dtype": "float16"},
        )
        table.remove()


def network_of(raw: Sequence[Path]) -> nn.Module:
    """The network whose package is among some raw files.

    Raises:
        SourceError: It is unavailable.
    """
    return load_feature_network(_package(raw))


def _package(raw: Sequence[Path]) -> Path:
    for manifest in raw:
        path = raw_path(manifest) if manifest.name.startswith(f"{PACKAGE}.") else None
        if path is not None:
            return path
    raise SourceError(
        f"the raw source {PACKAGE!r} is unavailable",
        cure=f"run valm fetch-source --source {PACKAGE}, or choose an encoder without features",
    )


def features_of(
    network: nn.Module, images: Sequence[Image.Image], settings: Features
) -> NDArray[np.float32]:
    """Features of pictures as stored (the transparency tells foreground): [n, 2291]."""
    precision = torch.float32 if settings.precision == "float32" else torch.bfloat16
    parts = [
        network_features(
            network, as_input([on_white(image) for image in batch], settings.side_pixels), precision
        ).numpy()
        for batch in batches(images, PICTURES_PER_BATCH)
    ]
    colours = np.stack([colour_histogram(image) for image in images])
    return np.concatenate([np.concatenate(parts), colours], axis=1, dtype=np.float32)
