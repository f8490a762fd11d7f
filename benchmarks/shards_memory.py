"""Peak memory of ``valm embed-shards`` by the number of shards.

The pictures of a finished study are cut into shards of one size, over and over, and embedded through a small
random tower: what grows with shards would show beside it. Every measurement is a fresh process; sizes
take turns.

Prints one JSON line: for each number of shards the median of the peaks, in MiB, of the process that encodes,
and the MiB of the tables that are written at the end, which are mapped.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import resource
import statistics
import tarfile
import tempfile
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SHARDS = (2, 8, 32)
PICTURES = 100  # a shard
TOWER = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def pictures_of(results: Path) -> list[bytes]:
    """The encoded pictures of a study's shards."""
    found = []
    for path in sorted(results.rglob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith((".png", ".jpg")) and (file := tar.extractfile(member)):
                    found.append(file.read())
    return found


def write_shards(folder: Path, pictures: list[bytes], count: int) -> None:
    """So many shards; the pictures come again when they are through."""
    folder.mkdir()
    stream = cycle(pictures)
    for shard in range(count):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for number, data in enumerate(islice(stream, PICTURES)):
                info = tarfile.TarInfo(f"{shard:05}{number:04}.png")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_encoder(folder: Path) -> Path:
    """The manifest of a small random tower."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from valm.core.digest import sha256_file
    from valm.core.job import Job
    from valm.embed.make import make_encoder

    config, weights = folder / "small-clip.json", folder / "weights.safetensors"
    config.write_text(json.dumps(TOWER), encoding="utf-8")
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    model = open_clip.create_model(config.stem, pretrained=None)
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, weights)
    inputs = {}
    for kind in ("picture_list", "tokens", "tokenizer"):
        manifest = folder / f"{kind}.manifest.json"
        Job(kind, {}, "").finish(manifest, kind=kind, rows=0, files=[], facts={"kind": "clip"})
        inputs[kind] = manifest
    params = {
        "model": config.stem, "model_config_file": str(config), "checkpoint": str(weights),
        "sha256": sha256_file(weights),
    }  # fmt: skip
    encoder = folder / "encoder.manifest.json"
    make_encoder(
        Job("make-encoder", {"embed.encoder": {"name": "open_clip", "params": params}, "seed": 1}, ""),
        pictures=inputs["picture_list"], tokens=inputs["tokens"], tokenizer=inputs["tokenizer"],
        features=None, output=encoder,
    )  # fmt: skip
    return encoder


def contestant(folder: Path, count: int, turn: int, line: Connection) -> None:
    """A process: all shards once; its peak and the size of the tables go out."""
    from valm.core.job import Job
    from valm.embed.shards import embed_shards

    output = folder / f"{count}_{turn}" / "vectors.manifest.json"
    embed_shards(
        Job("embed-shards", {"maximum_megapixels": 40.0}, ""), shards=folder / f"shards{count}",
        encoder=folder / "encoder.manifest.json", output=output, workers=1,
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line.send((peak, sum(file.stat().st_size for file in output.parent.glob("*.npy")) / 2**20))


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """The medians of every number of shards."""
    spawn = multiprocessing.get_context("spawn")
    taken: dict[int, list[tuple[float, ...]]] = {count: [] for count in SHARDS}
    for turn in range(rounds):
        for count in SHARDS if turn % 2 == 0 else SHARDS[::-1]:
            near_end, far_end = spawn.Pipe()
            process = spawn.Process(target=contestant, args=(folder, count, turn, far_end))
            process.start()
            far_end.close()
            taken[count].append(near_end.recv())
            process.join()
    names = ("peak_mib", "tables_mib")
    return {
        str(count): {
            name: round(statistics.median(each), 1)
            for name, each in zip(names, zip(*turns, strict=True), strict=True)
        }
        for count, turns in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=Path, default=Path("results/ingest/pictures"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pictures = pictures_of(options.pictures)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_encoder(folder)
        for count in SHARDS:
            write_shards(folder / f"shards{count}", pictures, count)
        found = measure(folder, options.rounds)
    print(json.dumps({"pictures_a_shard": PICTURES, "rounds": options.rounds, "by_shards": found}))


if __name__ == "__main__":
    main()
