"""Finds the pictures of every token of a text: an exported retriever, without the package it is from.

Every token has a state, from a causal text transformer over the text before it; its pictures are
those whose keys the index finds nearest to it. A text is read through windows that start
at fixed distances from the start of its document, so appending text changes no earlier token's
pictures. Needs torch, numpy, safetensors and faiss.
"""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Attention to the past, then a feed-forward layer, each behind a layer norm."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        )

    def forward(self, x: Tensor, future: Tensor) -> Tensor:
        """One layer; ``future`` is True where a token may not look."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, attn_mask=future, need_weights=False)[0]
        hidden = functional.gelu(self.mlp["c_fc"](self.ln_2(x)))
        out: Tensor = x + self.mlp["c_proj"](hidden)
        return out


class TextTower(nn.Module):
    """The causal text transformer: a unit vector for every token."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int):
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(context, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, width))

    def forward(self, ids: Tensor) -> Tensor:
        """States [texts, tokens, width] of tokens [texts, tokens]."""
        tokens = ids.shape[1]
        future = torch.ones(tokens, tokens, dtype=torch.bool, device=ids.device).triu(1)
        x = self.token_embedding(ids) + self.positional_embedding[:tokens]
        for block in self.blocks:
            x = block(x, future)
        return functional.normalize(self.ln_final(x) @ self.text_projection, dim=-1)


class Retriever:
    """The text tower, the index of the pictures' keys, and the pictures' values.

    Args:
        folder: Where this file lies, with ``retriever.json`` and what it describes.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        settings = json.loads((folder / "retriever.json").read_text(encoding="utf-8"))
        self.tower = TextTower(**settings["text_tower"])
        self.tower.load_state_dict(load_file(folder / "text_tower.safetensors"))
        self.tower.eval()
        self.index = faiss.read_index(str(folder / "index.faiss"))
        self.values = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
        self.top_k: int = settings["top_k"]
        self.minimum_score: float | None = settings["minimum_score"]
        self.window: int = settings["window_tokens"]
        self.stride: int = settings["stride_tokens"]
        self.end_of_text: int = settings["end_of_text_id"]

    def __call__(self, ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The pictures of every token, as ``picture_vectors`` and ``picture_mask``.

        Args:
            ids: Tokens [texts, tokens]. Padding on the left is ends of text, which end documents
                of their own, so a mask is not needed.
        """
        found = self.pictures(ids)
        # Any row does where nothing was found, because the mask hides it.
        vectors = torch.from_numpy(self.values[np.maximum(found, 0)].astype(np.float32))
        return vectors.to(ids.device), torch.from_numpy(found >= 0).to(ids.device)

    def pictures(self, ids: Tensor) -> np.ndarray:
        """Rows of ``captions.parquet``, best first, [texts, tokens, top_k]; -1: nothing found."""
        states = self.states(ids)
        queries = states.reshape(-1, states.shape[-1]).numpy()
        scores, found = self.index.search(queries, self.top_k)
        if self.minimum_score is not None:
            # A squared distance is the smaller the better; a score is it with a minus.
            sign = -1 if self.index.metric_type == faiss.METRIC_L2 else 1
            found[sign * scores < self.minimum_score] = -1
        return np.asarray(found).reshape(*ids.shape, self.top_k)

    @torch.inference_mode()
    def states(self, ids: Tensor) -> Tensor:
        """The unit vector that each token looks up, [texts, tokens, width]."""
        rows = ids.cpu()
        starts = torch.tensor([self.starts(row) for row in rows.tolist()])
        result = torch.empty(*ids.shape, self.tower.token_embedding.embedding_dim)
        for start in sorted(set(starts.flatten().tolist())):
            texts = (starts == start).any(dim=1).nonzero()[:, 0]
            window = self.tower(rows[texts, start : start + self.window])
            held = (starts[texts] == start)[:, start : start + self.window].nonzero()
            result[texts[held[:, 0]], start + held[:, 1]] = window[held[:, 0], held[:, 1]]
        return result

    def starts(self, ids: list[int]) -> list[int]:
        """Where the window of each token starts: the earliest that holds the token."""
        begin, found = 0, []
        for place, token in enumerate(ids):
            too_far = place - begin + 1 - self.window
            found.append(begin + max(0, -(-too_far // self.stride)) * self.stride)
            if token == self.end_of_text:
                begin = place + 1
        return found
