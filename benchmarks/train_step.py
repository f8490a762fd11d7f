"""Time of a training step: our GPT-2* beside Hugging Face's and a hand-written loop, VaLM beside it.

Every contestant is a process of its own, and they take turns: while one trains a few steps, the
others wait. All have the same sizes, batch, element type and threads. Ours train as the study does:
under Lightning, from a token stream, with clipping, history and schedule.

Prints one JSON line: the median over the rounds of the milliseconds of a step, in wall time and in
processor time, and each median relative to that of GPT-2*. On a CPU that others use too, the
processor's time is the one to go by.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

BASELINE = "gpt2_star"
PICTURES = 4000
# Dense bfloat16 multiply-adds a second that the makers state, in teraflop/s.
PEAK_TERAFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40": 181.0, "4090": 165.0}


@dataclass(frozen=True)
class Setting:
    """What all contestants of one measurement share."""

    layers: int
    width: int
    heads: int
    context: int
    vocabulary: int
    batch: int
    dtype: str = "float32"
    threads: int = 1
    device: str = "cpu"
    compiled: bool = False

    @property
    def tokens(self) -> int:
        return self.batch * self.context

    @property
    def flops_per_token(self) -> int:
        """Of forward and backward passes: 6 a weight of a product, and 12 a pair in attention."""
        weights = 12 * self.layers * self.width**2 + self.vocabulary * self.width
        return 6 * weights + 12 * self.layers * self.width * self.context


SHAPES = {
    "small": Setting(layers=4, width=192, heads=4, context=64, vocabulary=4096, batch=16),
    "base": Setting(layers=12, width=768, heads=12, context=512, vocabulary=49_412, batch=1),
}


class Turns:
    """A contestant's side of the taking of turns.

    Args:
        line: Numbers of steps come in; wall and processor seconds of them go out.
        device: Where the contestant's kernels run.
    """

    def __init__(self, line: Connection, device: str):
        self.line, self.device, self.left = line, device, 0
        self.wall = self.processor = 0.0

    def step_done(self) -> None:
        """Count a step; at the end of a turn report it and wait for the next one."""
        self.left -= 1
        if self.left > 0:
            return
        if self.left == 0:
            self._synchronise()
            self.line.send((time.perf_counter() - self.wall, time.process_time() - self.processor))
        self.left = self.line.recv()
        self._synchronise()
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def _synchronise(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()


def train_ours(setting: Setting, top_k: int, turns: Turns) -> None:
    """GPT-2* (``top_k`` = 0) or VaLM by the study's own code; the pictures are found beforehand."""
    import numpy as np
    import pytorch_lightning as lightning
    import torch

    from valm.config.train import Train
    from valm.core.progress import Tracker
    from valm.models.fusion import make_fusion
    from valm.models.initialise import initialise
    from valm.models.language_model import LanguageModel
    from valm.models.pictures import standardise
    from valm.models.trunk import TrunkConfig
    from valm.retrieve.given import Given
    from valm.train.batches import Blocks
    from valm.train.curves import Curves
    from valm.train.loop import make_trainer
    from valm.train.memory import keep_freed_memory
    from valm.train.recorder import Recorder
    from valm.train.training import Training

    class Paced(lightning.Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            turns.step_done()

    keep_freed_memory()
    generator = np.random.default_rng(0)
    count = max(200 * setting.tokens, 1 << 18)
    stream = generator.integers(0, setting.vocabulary, count, dtype=np.uint16)
    given, table = None, None
    if top_k:
        ids = generator.integers(0, PICTURES, (count, top_k), dtype=np.int32)
        given = Given(mask=np.ones(ids.shape, bool), ids=ids)
        vectors = torch.from_numpy(generator.normal(size=(PICTURES, setting.width)))
        table = standardise(vectors).to(getattr(torch, setting.dtype))
    trunk = TrunkConfig(setting.layers, setting.width, setting.heads, setting.context)
    fusion = make_fusion("joint" if top_k else "none", {})
    model = LanguageModel(trunk, fusion, setting.vocabulary, setting.width)
    initialise(model, 1)
    never = {"validate_every_steps": 10**9, "checkpoint_every_steps": 10**9, "steps": 10**9}
    settings = Train(
        sequences_per_step=setting.batch, precision=setting.dtype, compile=setting.compiled, **never
    )  # type: ignore[arg-type]
    blocks = Blocks(stream, setting.context, given, table=table)
    training = Training(model, settings, 1, blocks, blocks)
    with tempfile.TemporaryDirectory() as folder, Tracker("steps", None, "tokens") as tracker:
        work = Path(folder)
        recorder = Recorder(tracker, work / "metrics.jsonl", Curves([]), work, setting.tokens)
        trainer = make_trainer(training, recorder, work)
        trainer.callbacks.append(Paced())  # type: ignore[attr-defined]
        trainer.fit(training)


def train_hugging_face(setting: Setting, turns: Turns) -> None:
    """``GPT2LMHeadModel`` as its documentation trains it: labels in, loss out, AdamW."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=setting.layers,
        n_embd=setting.width,
        n_head=setting.heads,
        n_positions=setting.context,
        vocab_size=setting.vocabulary,
        activation_function="gelu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    model = GPT2LMHeadModel(config)
    train_plainly(setting, model, lambda ids, _: model(input_ids=ids, labels=ids).loss, turns)


def train_by_hand(setting: Setting, turns: Turns) -> None:
    """A small GPT-2 in plain PyTorch: fused attention, one cross-entropy over all logits."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(setting.width), nn.LayerNorm(setting.width)
            self.mixing = nn.Linear(setting.width, 3 * setting.width)
            self.mixed = nn.Linear(setting.width, setting.width)
            self.up = nn.Linear(setting.width, 4 * setting.width)
            self.down = nn.Linear(4 * setting.width, setting.width)

        def forward(self, x: Tensor) -> Tensor:
            parts = self.mixing(self.first(x)).chunk(3, dim=-1)
            query, key, value = (p.unflatten(2, (setting.heads, -1)).transpose(1, 2) for p in parts)
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.mixed(seen.transpose(1, 2).flatten(2))
            return x + self.down(functional.gelu(self.up(self.second(x))))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(setting.vocabulary, setting.width)
            self.places = nn.Embedding(setting.context, setting.width)
            self.layers = nn.Sequential(*(Layer() for _ in range(setting.layers)))
            self.norm = nn.LayerNorm(setting.width)

        def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
            x = self.words(ids) + self.places.weight[: ids.shape[1]]
            logits = functional.linear(self.norm(self.layers(x)), self.words.weight)
            return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    torch.manual_seed(0)
    model = Model()
    nn.init.normal_(model.words.weight, std=0.02)
    train_plainly(setting, model, model, turns)


def train_plainly(setting: Setting, model: Any, loss_of: Callable[..., Any], turns: Turns) -> None:
    """The loop that one writes by hand: autocast, backward, clip, AdamW, on batches in memory."""
    import torch

    device = torch.device(setting.device)
    model.to(device)
    loss_of = torch.compile(loss_of) if setting.compiled else loss_of
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=setting.device == "cuda")
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(
        setting.vocabulary, (50, setting.batch, setting.context + 1), generator=generator
    )
    step = 0
    while True:
        batch = drawn[step % len(drawn)].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=setting.dtype == "bfloat16"):
            loss = loss_of(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        turns.step_done()
        step += 1


def contestant(name: str, setting: Setting, line: Connection) -> None:
    """The process of one contestant; it trains until it is killed."""
    import torch

    torch.set_num_threads(setting.threads)
    turns = Turns(line, setting.device)
    match name.split("_k"):
        case ["hugging_face"]:
            train_hugging_face(setting, turns)
        case ["by_hand"]:
            train_by_hand(setting, turns)
        case ["valm", top_k]:
            train_ours(setting, int(top_k), turns)
        case _:
            train_ours(setting, 0, turns)


def measure(
    names: list[str], setting: Setting, rounds: int, steps: int, warmup: int
) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of a step, of every contestant in every round."""
    spawn = multiprocessing.get_context("spawn")
    lines, processes = {}, []
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    try:
        for name in names:
            lines[name], far_end = spawn.Pipe()
            process = spawn.Process(target=contestant, args=(name, setting, far_end), daemon=True)
            process.start()
            far_end.close()
            processes.append(process)
        for name in names:
            lines[name].send(warmup)
            lines[name].recv()
        for turn in range(rounds):
            for name in names if turn % 2 == 0 else names[::-1]:
                lines[name].send(steps)
                wall, processor = lines[name].recv()
                seconds[name].append((wall / steps, processor / steps))
    finally:
        for process in processes:
            process.kill()
    return seconds


def result(
    seconds: dict[str, list[tuple[float, float]]], setting: Setting, peak: float | None
) -> dict[str, Any]:
    """Medians, ratios and, where the peak is known, the share of it that was used."""
    wall, processor = (
        {name: statistics.median(pair[i] for pair in pairs) for name, pairs in seconds.items()}
        for i in (0, 1)
    )
    found: dict[str, Any] = {
        "setting": vars(setting),
        "rounds": min(map(len, seconds.values())),
        "milliseconds": {name: round(1e3 * s, 2) for name, s in wall.items()},
        "processor_milliseconds": {name: round(1e3 * s, 2) for name, s in processor.items()},
        "tokens_per_second": {name: round(setting.tokens / s) for name, s in wall.items()},
        "relative_to_gpt2_star": relative(wall),
        "processor_relative_to_gpt2_star": relative(processor),
    }
    if peak is not None:
        per_step = setting.flops_per_token * setting.tokens
        found["model_flops_utilisation"] = {
            name: round(per_step / s / (peak * 1e12), 3) for name, s in wall.items()
        }
    return found


def relative(seconds: dict[str, float]) -> dict[str, float]:
    """Each contestant's time as a multiple of the baseline's."""
    return {
        name: round(s / seconds[BASELINE], 3) for name, s in seconds.items() if name != BASELINE
    }


def stated_peak() -> float | None:
    """The bfloat16 peak of the GPU at hand in teraflop/s, if it is a known one."""
    import torch

    name = torch.cuda.get_device_name()
    return next((peak for model, peak in PEAK_TERAFLOPS.items() if model in name), None)


def main() -> None:
    names = [BASELINE, "hugging_face", "by_hand", "valm_k4", "valm_k8"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--batch", type=int, help="sequences a step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile the models")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5, help="steps in one turn")
    parser.add_argument("--warmup", type=int, default=5, help="steps before the first turn")
    parser.add_argument("--only", nargs="+", default=names, help="contestants; default: all")
    parser.add_argument("--peak-teraflops", type=float, help="of the device in this dtype")
    options = parser.parse_args()
    setting = replace(
        SHAPES[options.shape],
        dtype=options.dtype,
        threads=options.threads,
        device=options.device,
        compiled=options.compile,
    )
    if options.batch:
        setting = replace(setting, batch=options.batch)
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Lightning would take a GPU that it sees
    contestants = list(dict.fromkeys([BASELINE, *options.only]))
    seconds = measure(contestants, setting, options.rounds, options.steps, options.warmup)
    peak = options.peak_teraflops or (stated_peak() if options.device == "cuda" else None)
    print(json.dumps(result(seconds, setting, peak)))


if __name__ == "__main__":
    main()
