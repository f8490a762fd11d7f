"""Time of embedding pictures: ``valm embed-shards`` beside clip-retrieval's inference.

Both read the same tar shards of JPEG photos through the same open_clip model with the same random
weights, in batches of one size, with as many decoding processes and threads. clip-retrieval needs older
packages, so it lives in an environment of its own:

    uv venv work/bench-clip-retrieval
    VIRTUAL_ENV=work/bench-clip-retrieval uv pip sync requirements/bench-clip-retrieval.txt

Each side is a process that keeps its model from turn to turn, and they take turns: while one embeds all
shards, the other waits. What is timed is a whole run over the shards, its files written, without the
loading of the model.

Prints one JSON line: medians of wall and processor seconds (those of the decoding processes counted
in), pictures a second, the ratios of clip-retrieval's medians to ours, and the smallest cosine of any
two vectors of one picture. Exits with 1 if that is below 0.97: ours reads JPEGs at the nearest of their
scales, so its pixels differ a little.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

OURS, THEIRS = "valm", "clip_retrieval"
SMALLEST_COSINE = 0.97
REPLY = "reply "  # before the lines that are ours, among what a side prints


def write_shards(folder: Path, options: argparse.Namespace) -> list[str]:
    """Tar shards of smooth random JPEGs, as img2dataset lays them out."""
    from PIL import Image

    folder.mkdir()
    side = options.picture_pixels
    for shard in range(options.shards):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for number in range(options.pictures):
                draw = np.random.default_rng([shard, number])
                grid = draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)
                photo = Image.fromarray(grid).resize(
                    (side, side * 3 // 4), Image.Resampling.BICUBIC
                )
                buffer = io.BytesIO()
                photo.save(buffer, "JPEG", quality=92)
                info = tarfile.TarInfo(f"{shard:05}{number:04}.jpg")
                info.size = buffer.tell()
                buffer.seek(0)
                tar.addfile(info, buffer)
    return sorted(str(path) for path in folder.glob("*.tar"))


def write_model(folder: Path, options: argparse.Namespace) -> None:
    """A random model, as a checkpoint for them and as an encoder of ours."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from valm.core.digest import sha256_file
    from valm.core.job import Job
    from valm.core.manifest import write_manifest
    from valm.embed.make import make_encoder

    torch.manual_seed(0)
    model = open_clip.create_model(options.model, pretrained=None)
    weights = folder / "weights.safetensors"
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, weights)
    torch.save(model.state_dict(), folder / "weights.pt")
    inputs = {}
    for kind in ("picture_list", "tokens", "tokenizer"):
        inputs[kind] = folder / f"{kind}.manifest.json"
        write_manifest(
            inputs[kind], kind=kind, rows=0, files=[], producer="", config_digest="",
            code_digest="", facts={"kind": "clip"},
        )  # fmt: skip
    params = {
        "model": options.model, "checkpoint": str(weights), "sha256": sha256_file(weights),
        "pictures_per_batch": options.batch,
    }  # fmt: skip
    section = {"embed.encoder": {"name": "open_clip", "params": params}, "seed": 1}
    make_encoder(
        Job("make-encoder", section, ""), pictures=inputs["picture_list"], tokens=inputs["tokens"],
        tokenizer=inputs["tokenizer"], features=None, output=folder / "encoder.manifest.json",
    )  # fmt: skip


Run = Callable[[Path], np.ndarray]  # into a fresh folder; the vectors of all pictures


def ours(folder: Path, options: argparse.Namespace) -> Run:
    """``valm embed-shards``, its encoder loaded once."""
    from functools import lru_cache

    from valm.core.job import Job
    from valm.embed import shards

    shards.load_encoder = lru_cache(shards.load_encoder)  # type: ignore[attr-defined]
    job = Job("embed-shards", {"maximum_megapixels": 40.0}, "", threads=options.threads)

    def run(output: Path) -> np.ndarray:
        shards.embed_shards(
            job, shards=folder / "shards", encoder=folder / "encoder.manifest.json",
            output=output / "vectors.manifest.json", workers=options.workers,
        )  # fmt: skip
        return np.load(output / "keys.npy")

    return run


def theirs(folder: Path, options: argparse.Namespace) -> Run:
    """clip-retrieval's worker; it keeps the models that it has loaded and warmed up."""
    import torch
    from clip_retrieval.clip_inference.worker import worker  # type: ignore[import-not-found]

    torch.set_num_threads(options.threads)
    tars = sorted(str(path) for path in (folder / "shards").glob("*.tar"))

    def run(output: Path) -> np.ndarray:
        worker(
            tasks=[0], input_dataset=list(tars), output_folder=str(output),
            output_partition_count=1, input_format="webdataset", batch_size=options.batch,
            num_prepro_workers=options.workers, enable_text=False, enable_image=True,
            clip_model=f"open_clip:{options.model}/{folder / 'weights.pt'}", use_jit=False,
        )  # fmt: skip
        return np.load(output / "img_emb" / "img_emb_0.npy")

    return run


def contestant(folder: Path, options: argparse.Namespace) -> None:
    """The process of one side: a line asks for a turn, a line says how it went."""
    run = {OURS: ours, THEIRS: theirs}[options.contestant](folder, options)
    for line in sys.stdin:
        output = folder / options.contestant / line.strip()
        output.mkdir(parents=True)
        wall, processor = time.perf_counter(), processor_seconds()
        vectors = run(output)
        wall, processor = time.perf_counter() - wall, processor_seconds() - processor
        np.save(folder / f"{options.contestant}.npy", vectors)
        print(f"{REPLY}{json.dumps([wall, processor])}", flush=True)


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def started(name: str, python: str, folder: Path) -> Iterator[Callable[[int], tuple[float, float]]]:
    """A side's process, as a function that gives it a turn."""
    arguments = [*sys.argv[1:], "--contestant", name, "--folder", str(folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    if name == THEIRS:
        # OpenAI's package asks setuptools for ``packaging``, which has not had it since version 71.
        (folder / "pkg_resources.py").write_text("import packaging.version\n")
        environment["PYTHONPATH"] = str(folder)
    process = subprocess.Popen(
        [python, __file__, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None

    def turn(number: int) -> tuple[float, float]:
        print(number, file=process.stdin, flush=True)
        for line in process.stdout or ():
            if line.startswith(REPLY):
                wall, processor = json.loads(line.removeprefix(REPLY))
                return wall, processor
        sys.exit(f"{name} has ended with code {process.wait()}")

    try:
        yield turn
    finally:
        process.kill()
        process.wait()


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The JSON line's content."""
    write_shards(folder / "shards", options)
    write_model(folder, options)
    seconds: dict[str, list[tuple[float, float]]] = {OURS: [], THEIRS: []}
    theirs_python = str(options.environment / "bin" / "python")
    with (
        started(OURS, sys.executable, folder) as our_turn,
        started(THEIRS, theirs_python, folder) as their_turn,
    ):
        turns = {OURS: our_turn, THEIRS: their_turn}
        for turn in range(options.rounds + 1):  # the first is the warm-up
            for name in list(turns) if turn % 2 == 0 else list(turns)[::-1]:
                taken = turns[name](turn)
                if turn:
                    seconds[name].append(taken)
    vectors = {name: np.load(folder / f"{name}.npy").astype(np.float32) for name in seconds}
    cosines = (vectors[OURS] * vectors[THEIRS]).sum(axis=1)
    wall, processor = (
        {name: statistics.median(pair[i] for pair in pairs) for name, pairs in seconds.items()}
        for i in (0, 1)
    )
    count = options.shards * options.pictures
    return {
        "setting": {
            name: getattr(options, name)
            for name in ("model", "shards", "pictures", "picture_pixels", "batch", "workers", "threads")
        },
        "rounds": options.rounds,
        "smallest_cosine": round(float(cosines.min()), 4),
        "seconds": {name: round(s, 3) for name, s in wall.items()},
        "processor_seconds": {name: round(s, 3) for name, s in processor.items()},
        "pictures_per_second": {name: round(count / s, 1) for name, s in wall.items()},
        "ratio": round(wall[THEIRS] / wall[OURS], 2),
        "processor_ratio": round(processor[THEIRS] / processor[OURS], 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--environment", type=Path, default=Path("work/bench-clip-retrieval"))
    parser.add_argument("--model", default="ViT-B-32", help="open_clip's name")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=128, help="in a shard")
    parser.add_argument("--picture-pixels", type=int, default=512, help="longer side of the JPEGs")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1, help="decoding processes")
    parser.add_argument("--threads", type=int, default=1, help="of the model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        contestant(options.folder, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options)
    print(json.dumps(found))
    if found["smallest_cosine"] < SMALLEST_COSINE:
        sys.exit("the two sides disagree")


if __name__ == "__main__":
    main()
