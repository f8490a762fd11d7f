"""Cross-entropy of tied output embeddings in chunks: no batch ever holds all its logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

# Logits held at once: 128 MiB of float32 on a CPU. Each chunk passes once over the gradient of the
# whole embedding, so that many small ones take four times as long as few large ones.
CPU_LOGITS, GPU_LOGITS = 1 << 25, 1 << 28
# Logits that a CPU turns into slopes at once: 512 KiB of float32, which stay in its cache meanwhile.
CACHED_LOGITS = 1 << 17


def mean_cross_entropy(
    hidden: Float[Tensor, "rows width"],
    embedding: Float[Tensor, "vocabulary width"],
    targets: Int[Tensor, " rows"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats, for training."""
    loss: Tensor = _MeanCrossEntropy.apply(hidden, embedding, targets)  # type: ignore[no-untyped-call]
    return loss


def cross_entropies(
    hidden: Float[Tensor, "rows width"],
    embedding: Float[Tensor, "vocabulary width"],
    targets: Int[Tensor, " rows"],
) -> Float[Tensor, " rows"]:
    """Cross-entropy of each row in nats, for evaluation: no gradients are kept."""
    with torch.no_grad():
        losses = [
            -_log_shares(h, embedding).gather(1, t.unsqueeze(1)).squeeze(1)
            for h, t in _chunks(hidden, embedding, targets)
        ]
    return torch.cat(losses)


def _chunks(hidden: Tensor, embedding: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    logits = CPU_LOGITS if hidden.device.type == "cpu" else GPU_LOGITS
    rows = max(1, logits // len(embedding))
    return zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)


def _log_shares(hidden: Tensor, embedding: Tensor) -> Float[Tensor, "rows vocabulary"]:
    """Log-softmax of the logits, in float32 at least."""
    logits = functional.linear(hidden, embedding)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)


def _turn_into_slopes(
    logits: Float[Tensor, "rows vocabulary"], targets: Int[Tensor, " rows"]
) -> Float[Tensor, ""]:
    """Put the slopes of each row's loss in the place of its logits; returns the sum of the losses.

    The slope is softmax - one-hot. What is added up is float32 at least, a few rows at a time.
    """
    accurate = torch.promote_types(logits.dtype, torch.float32)
    total = logits.new_zeros((), dtype=accurate)
    at_once = CACHED_LOGITS if logits.device.type == "cpu" else logits.numel()
    rows = max(1, at_once // logits.shape[1])
    parts = zip(torch.split(logits, rows), torch.split(targets.unsqueeze(1), rows), strict=True)
    for part, goals in parts:
        shares = part.to(accurate)  # the part itself, if it is accurate already
        shares -= shares.amax(dim=1, keepdim=True)
        wanted = shares.gather(1, goals)
        sums = shares.exp_().sum(dim=1, keepdim=True)
        total += (sums.log() - wanted).sum()
        shares /= sums
        shares.scatter_add_(1, goals, torch.full_like(wanted, -1.0))
        part.copy_(shares)
    return total


class _MeanCrossEntropy(torch.autograd.Function):
    """Makes the gradients of each chunk beside its loss, while its logits are there."""

    @staticmethod
    def forward(context: Any, hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        # Under autocast the products are made in its type: cast once, not in every chunk.
        product = functional.linear(hidden[:1], embedding[:1]).dtype
        states, table = hidden.to(product), embedding.to(product)
        total, to_hidden = hidden.new_zeros(()), []
        to_embedding: Tensor | None = None
        for part, goal in _chunks(states, table, targets):
            slope = functional.linear(part, table)
            total += _turn_into_slopes(slope, goal)
            to_hidden.append(slope @ table)
            made = (slope.t() @ part).to(embedding.dtype)
            to_embedding = made if to_embedding is None else to_embedding.add_(made)
        context.save_for_backward(torch.cat(to_hidden), to_embedding)
        return total / len(hidden)

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None]:
        to_hidden, to_embedding = context.saved_tensors
        scale = slopes[0] / len(to_hidden)
        return to_hidden * scale, to_embedding * scale, None
