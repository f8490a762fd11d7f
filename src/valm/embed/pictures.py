"""``embed-pictures``: key, its norm, and value of every kept picture, resumably."""

from __future__ import annotations

from pathlib import Path

import torch

from valm.core.growing_table import GrowingTable
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.progress import Tracker
from valm.embed.encoder import ENCODERS, KIND, load_encoder


def embed_pictures(
    job: Job, *, pictures: Path, encoder: Path, features: Path | None, output: Path
) -> None:
    """Write ``keys.npy``, ``norms.npy`` and ``values.npy``; a row's number is the picture's id.

    Keys and values are float16 [pictures, width], the keys of unit length; their norms before that are
    float32 [pictures].

    Args:
        pictures: Manifest of the picture list.
        encoder: Manifest of the encoder.
        features: Manifest of the picture features, for encoders that read them.
        output: ``vectors.manifest.json``.
    """
    torch.set_num_threads(job.threads)
    count = read_manifest(pictures, "picture_list").rows
    made = read_manifest(encoder, KIND)
    loaded = load_encoder(encoder)
    kind = ENCODERS.get(made.facts["encoder"])
    parents = [path for path in (pictures, encoder, features) if path is not None]
    columns = {
        "keys": (loaded.key_width, "float16"),
        "norms": (None, "float32"),
        "values": (loaded.value_width, "float16"),
    }
    with job.work(parents) as work, Tracker("embedding", count, "pictures") as tracker:
        table = GrowingTable(work, count, columns)
        tracker.advance(table.done)
        for block in kind.embed(loaded, pictures, features, table.done):
            table.append(**vars(block))
            tracker.advance(len(block.keys))
        files = table.publish(output.parent)
        job.finish(
            output,
            kind="vectors",
            rows=count,
            files=files,
            parents=parents,
            facts={
                "key_width": loaded.key_width,
                "value_width": loaded.value_width,
                "dtype": "float16",
                "encoder": made.facts["encoder"],
                "weights_sha256": sorted(f.sha256 for f in made.files.values()),
            },
        )
        table.remove()
