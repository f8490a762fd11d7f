"""A training that finds its pictures in the loader beside one that reads them from a table.

Takes a study's manifests as ``train-model`` does. Both ways read the same batches of the default variant's
model, in alternation, from a new place in the text each time, and take the step; the time of the first
group of batches, which nothing overlaps with, is part of it. Prints one JSON line: medians of the seconds
a step, their ratio, and what the table would hold a token.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from valm.config.models import Variant
from valm.config.study import load_study
from valm.core.manifest import read_manifest
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.retrieve.online import OnlineRetrieval
from valm.retrieve.sizes import neighbour_bytes
from valm.train.batches import shuffled_batches
from valm.train.inputs import TRAIN, VALID, Inputs, PictureFiles, open_inputs


def seconds_a_step(
    model: LanguageModel, inputs: Inputs, per_step: int, first: int, steps: int
) -> float:
    """Of some steps from one on: loading, forward, backward and update."""
    optimiser = torch.optim.AdamW(model.parameters())
    start = time.perf_counter()
    for batch in shuffled_batches(inputs.blocks[TRAIN], per_step, 1, first, end_step=first + steps):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(batch.ids, batch.targets, batch.pictures, None, None)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return (time.perf_counter() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tokens", "encoder", "index", "vectors"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="a manifest")
    parser.add_argument("--neighbours", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    study = load_study([Path("config.yaml")])
    variant: Variant = study.models.named("valm")
    preset, top_k = study.retrieve.presets[0], study.retrieve.top_k
    trunk = TrunkConfig(**study.models.trunk.model_dump(exclude={"init_from"}))
    online = OnlineRetrieval(given.tokens, given.encoder, given.vectors, given.index, preset, top_k)
    splits = {split: given.neighbours / f"{split}.manifest.json" for split in (TRAIN, VALID)}
    table = PictureFiles(given.vectors, splits)
    ways = {"cached": table, "online": PictureFiles(given.vectors, {}, online)}
    fusion = make_fusion(variant.fusion.name, variant.fusion.params)
    times: dict[str, list[float]] = {name: [] for name in ways}
    inputs = {
        name: open_inputs(variant, trunk.context_tokens, 1, torch.bfloat16, 1, given.tokens, files)
        for name, files in ways.items()
    }
    for turn in range(given.rounds):
        for name, read in inputs.items():
            model = LanguageModel(
                trunk, fusion, read.vocabulary_size, read.value_width, "causal_lm"
            )
            initialise(model, 1)
            per_step = study.train.sequences_per_step
            times[name].append(
                seconds_a_step(model, read, per_step, turn * given.steps, given.steps)
            )
    seconds = {name: statistics.median(each) for name, each in times.items()}
    width = int(read_manifest(given.encoder).facts["value_width"])
    print(
        json.dumps(
            {
                "seconds_a_step": {name: round(value, 4) for name, value in seconds.items()},
                "online_over_cached": round(seconds["online"] / seconds["cached"], 2),
                "table_bytes_a_token": neighbour_bytes(preset, top_k, width),
            }
        )
    )


if __name__ == "__main__":
    main()
