"""Tiny checkpoints in the layout of the official code, and its equations written out in float64."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm

VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT = 49_412, 8, 2, 3, 16
FUSED = LAYERS - 2


def tensors(joint: bool = True, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of ``transformer_lm_gpt``, with the official joint attention or without."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.4

    state = {
        "decoder.version": torch.tensor([3.0]),
        "decoder.embed_tokens.weight": drawn(VOCABULARY, WIDTH),
        "decoder.embed_positions._float_tensor": torch.zeros(1),
        "decoder.layer_norm.weight": drawn(WIDTH) + 1,
        "decoder.layer_norm.bias": drawn(WIDTH),
    }
    for layer in range(LAYERS):
        maps = {f"self_attn.{p}_proj": (WIDTH, WIDTH) for p in ("k", "v", "q", "out")}
        maps |= {"fc1": (4 * WIDTH, WIDTH), "fc2": (WIDTH, 4 * WIDTH)}
        norms = ["self_attn_layer_norm", "final_layer_norm"]
        if joint and layer == FUSED:
            maps |= {f"self_attn.img_{p}_proj": (WIDTH, WIDTH) for p in ("k", "v")}
            norms.append("self_attn.img_layer_norm")
        for name, shape in maps.items():
            state[f"decoder.layers.{layer}.{name}.weight"] = drawn(*shape)
            state[f"decoder.layers.{layer}.{name}.bias"] = drawn(shape[0])
        for name in norms:
            state[f"decoder.layers.{layer}.{name}.weight"] = drawn(WIDTH) + 1
            state[f"decoder.layers.{layer}.{name}.bias"] = drawn(WIDTH)
    # Tied: one memory under two names.
    state["decoder.output_projection.weight"] = state["decoder.embed_tokens.weight"]
    return state


def checkpoint(model: dict[str, Tensor], **settings: Any) -> dict[str, Any]:
    """What fairseq's trainer saves around a model."""
    stated = {
        "arch": "transformer_lm_gpt", "activation_fn": "gelu", "dropout": 0.1,
        "decoder_attention_heads": HEADS, "max_target_positions": CONTEXT, "no_scale_embedding": False,
        "decoder_learned_pos": False, "data": "data-bin", "seed": 1,
    }  # fmt: skip
    return {
        "args": None,
        "cfg": {"_name": None, "common": {"seed": 1, "fp16": True, "dropout": 7},
                "model": Namespace(**stated | settings), "task": {"tokens_per_sample": 99}},
        "model": model,
        "criterion": None,
        "optimizer_history": [{"optimizer_name": "FP16Optimizer", "num_updates": 500_000}],
        "task_state": {},
        "extra_state": {"train_iterator": {"epoch": 3}, "val_loss": 3.5},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.zeros(4)}}, "param_groups": []},
    }  # fmt: skip


def write_checkpoint(path: Path, data: Any) -> Path:
    torch.save(data, path)
    return path


def official_logits(
    state: dict[str, Tensor], ids: Tensor, pictures: Tensor | None = None
) -> Tensor:
    """Logits [tokens, vocabulary] of one text by VALM.md 4.1 and 4.3, token by token, in float64.

    Args:
        ids: fairseq's ids, [tokens].
        pictures: The pictures of every token, [tokens, pictures, width].
    """
    p = {name.removeprefix("decoder."): value.double() for name, value in state.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, (WIDTH,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-5)

    def affine(x: Tensor, name: str) -> Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    x = math.sqrt(WIDTH) * p["embed_tokens.weight"][ids] + _sinusoids(len(ids))
    for layer in range(LAYERS):
        here = f"layers.{layer}."
        h = norm(x, f"{here}self_attn_layer_norm")
        query, key, value = (affine(h, f"{here}self_attn.{name}_proj") for name in "qkv")
        fused = layer == FUSED and pictures is not None
        scale = math.sqrt(WIDTH) if fused else math.sqrt(WIDTH / HEADS)
        mixed = torch.zeros_like(x)
        for i in range(len(ids)):
            keys, values = key[: i + 1], value[: i + 1]
            if fused and pictures is not None:
                own = norm(pictures[i].double(), f"{here}self_attn.img_layer_norm")
                parts = [own @ p[f"{here}self_attn.{n}_proj.weight"].T for n in "kv"]
                biases = [p[f"{here}self_attn.img_{n}_proj.bias"] for n in "kv"]
                keys = torch.cat([keys, parts[0] + biases[0]])
                values = torch.cat([values, parts[1] + biases[1]])
            for head in range(HEADS):
                part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
                weights = (keys[:, part] @ query[i, part] / scale).softmax(0)
                mixed[i, part] = weights @ values[:, part]
        x = x + affine(mixed, f"{here}self_attn.out_proj")
        hidden = gelu(affine(norm(x, f"{here}final_layer_norm"), f"{here}fc1"))
        x = x + affine(hidden, f"{here}fc2")
    return norm(x, "layer_norm") @ p["embed_tokens.weight"].T


def _sinusoids(tokens: int) -> Tensor:
    """Positions count from 2; a half of sines, then a half of cosines."""
    half = WIDTH // 2
    frequency = [10_000 ** (-f / (half - 1)) for f in range(half)]
    rows = [
        [math.sin((t + 2) * f) for f in frequency] + [math.cos((t + 2) * f) for f in frequency]
        for t in range(tokens)
    ]
    return torch.tensor(rows, dtype=torch.float64)
