"""Time of encoding queries: all windows of a text together beside one padded chunk at a time.

The official code runs CLIP's text tower on one chunk after the other, each filled up to CLIP's 77
positions (VALM.md 3.1). Ours cuts nothing short and fills up to the next multiple of eight tokens: chunks of
one such length are one batch, whose last is filled up too, and equal ones are encoded once. Both give the state of every token. The tower has the sizes
of RN50x16's, 12 layers of width 768, and random weights; the text is this repository's documents,
in CLIP's vocabulary. Each side is a process of its own, and they take turns.

Prints one JSON line for each element type and length of the chunks: medians of wall and processor
seconds, tokens a second, and the ratios of the loop's medians to ours. On a processor that others use too,
the processor's time is the one to go by. Exits with 1 if the float32 states differ by more than 1e-5.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

OURS, LOOP = "packed", "one_at_a_time"
POSITIONS, START, END = 77, 49_406, 49_407
TOLERANCE = 1e-5  # of the components of unit vectors


@dataclass(frozen=True)
class Setting:
    """What both sides share."""

    dtype: str
    chunk_tokens: int
    tokens: int
    threads: int
    device: str
    layers: int = 12
    width: int = 768
    heads: int = 12


def clip_model(setting: Setting) -> Any:
    """A random CLIP with the official text tower and next to no picture tower."""
    import open_clip
    import torch

    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    text = {
        "context_length": POSITIONS, "vocab_size": END + 1, "width": setting.width,
        "heads": setting.heads, "layers": setting.layers,
    }  # fmt: skip
    model = open_clip.CLIP(
        setting.width, open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text), True
    )
    return model.eval().requires_grad_(False).to(setting.device)


def natural_text(setting: Setting) -> np.ndarray:
    """The first ids of the repository's documents."""
    from valm.ingest.vocabulary.clip import clip_bpe
    from valm.ingest.vocabulary.tokenizer import END_OF_TEXT, START_OF_TEXT, Tokenizer

    words = Tokenizer(clip_bpe(START_OF_TEXT, END_OF_TEXT), "clip", END_OF_TEXT)
    files = sorted(Path(__file__).parents[1].glob("docs/*.md"))
    ids = [token for file in files for token in words.encode(file.read_text("utf-8"))]
    return np.array(ids[: setting.tokens])


Encoding = Callable[[], np.ndarray]  # keys of all tokens, float32


def packed(setting: Setting) -> Encoding:
    """As ``find-neighbours`` does it: in batches whose shape follows from the windows' length alone."""
    from valm.config.retrieve import Query
    from valm.embed.encoders.open_clip import OpenClipEncoder, Params
    from valm.retrieve.queries import states_at

    params = Params(checkpoint="", sha256="0" * 64, text_precision=setting.dtype)  # type: ignore[arg-type]
    encoder = OpenClipEncoder(clip_model(setting), params)
    ids = natural_text(setting)
    chunks = np.array([*range(0, len(ids), setting.chunk_tokens), len(ids)])
    query = Query(window_tokens=POSITIONS - 2, stride_tokens=1)
    at = np.arange(len(ids))
    return lambda: states_at(encoder, ids, chunks, at, query, fixed_shapes=True).keys


def one_at_a_time(setting: Setting) -> Encoding:
    """The official loop, with CLIP's own modules."""
    import torch

    text = clip_model(setting).to(getattr(torch, setting.dtype))
    ids = natural_text(setting).tolist()
    chunks = [ids[n : n + setting.chunk_tokens] for n in range(0, len(ids), setting.chunk_tokens)]

    def encode() -> np.ndarray:
        states = []
        for chunk in chunks:
            filling = [0] * (POSITIONS - 2 - len(chunk))
            padded = torch.tensor([[START, *chunk, END, *filling]], device=setting.device)
            with torch.inference_mode():
                x = text.token_embedding(padded) + text.positional_embedding
                x = text.ln_final(text.transformer(x, attn_mask=text.attn_mask))
                x = x @ text.text_projection
                x = x / x.norm(dim=-1, keepdim=True)
            states.append(x[0, 1 : len(chunk) + 1].float().cpu().numpy())
        return np.concatenate(states)

    return encode


SIDES = {OURS: packed, LOOP: one_at_a_time}


def contestant(name: str, setting: Setting, line: Connection) -> None:
    """The process of one side: a turn is asked for, states and seconds go out."""
    import torch

    torch.set_num_threads(setting.threads)
    encode = SIDES[name](setting)
    while True:
        line.recv()
        wall, processor = time.perf_counter(), time.process_time()
        states = encode()
        line.send((states, time.perf_counter() - wall, time.process_time() - processor))


def measure(setting: Setting, rounds: int) -> dict[str, Any]:
    """One JSON line's content."""
    spawn = multiprocessing.get_context("spawn")
    lines, processes = {}, []
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    states = {}
    try:
        for name in SIDES:
            lines[name], far_end = spawn.Pipe()
            process = spawn.Process(target=contestant, args=(name, setting, far_end), daemon=True)
            process.start()
            far_end.close()
            processes.append(process)
        for turn in range(-1, rounds):  # the first is the warm-up
            for name in list(SIDES) if turn % 2 == 0 else list(SIDES)[::-1]:
                lines[name].send(None)
                states[name], wall, processor = lines[name].recv()
                if turn >= 0:
                    seconds[name].append((wall, processor))
    finally:
        for process in processes:
            process.kill()
    wall, processor = (
        {name: statistics.median(pair[i] for pair in pairs) for name, pairs in seconds.items()}
        for i in (0, 1)
    )
    return {
        "setting": asdict(setting),
        "rounds": rounds,
        "largest_difference": float(f"{np.abs(states[OURS] - states[LOOP]).max():.1e}"),
        "seconds": {name: round(s, 3) for name, s in wall.items()},
        "processor_seconds": {name: round(s, 3) for name, s in processor.items()},
        "tokens_per_second": {name: round(setting.tokens / s) for name, s in wall.items()},
        "ratio": round(wall[LOOP] / wall[OURS], 2),
        "processor_ratio": round(processor[LOOP] / processor[OURS], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--chunks", nargs="+", type=int, default=[20, 40, 75])
    parser.add_argument("--tokens", type=int, default=3_000, help="length of the text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    worst = 0.0
    for dtype in options.dtypes:
        for chunk in options.chunks:
            setting = Setting(dtype, chunk, options.tokens, options.threads, options.device)
            found = measure(setting, options.rounds)
            print(json.dumps(found), flush=True)
            worst = max(worst, found["largest_difference"] if dtype == "float32" else 0)
    if worst > TOLERANCE:
        sys.exit("the two sides disagree")


if __name__ == "__main__":
    main()
