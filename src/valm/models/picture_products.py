"""Products of queries and attention weights with each token's own pictures.

Keys and values of pictures are affine maps W z + b of their vectors z, but neither is ever made: it
is cheaper to project one query, and one mixture, than K pictures (VALM.md 4.4). The slopes are
written by hand, because those that autograd would take copy and transpose as much as they compute.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def match(
    query: Float[Tensor, "heads places head"],
    vectors: Float[Tensor, "places pictures value"],
    weight: Float[Tensor, "heads head value"],
    bias: Float[Tensor, "heads head 1"],
) -> Float[Tensor, "places heads pictures"]:
    """Inner products of queries with picture keys: q . (W z + b) = (W^T q) . z + q . b."""
    products: Tensor = _Match.apply(query, vectors, weight, bias)  # type: ignore[no-untyped-call]
    return products


def mix(
    shares: Float[Tensor, "places heads pictures"],
    vectors: Float[Tensor, "places pictures value"],
    weight: Float[Tensor, "heads head value"],
    bias: Float[Tensor, "heads head 1"],
) -> Float[Tensor, "heads places head"]:
    """Weighted sums of picture values: sum_k a_k (W z_k + b) = W sum_k a_k z_k + b sum_k a_k."""
    mixtures: Tensor = _Mix.apply(shares, vectors, weight, bias)  # type: ignore[no-untyped-call]
    return mixtures


class _Match(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, query: Tensor, vectors: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        context.save_for_backward(query, vectors, weight, bias)
        offsets = torch.bmm(query, bias).transpose(0, 1)
        projected = torch.bmm(query, weight).transpose(0, 1)
        return torch.baddbmm(offsets, projected, vectors.transpose(1, 2))

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        query, vectors, weight, bias = context.saved_tensors
        (slope,) = slopes
        to_projected = torch.bmm(slope, vectors).transpose(0, 1)
        to_offsets = slope.sum(2).t().unsqueeze(2)
        to_query = torch.baddbmm(
            to_offsets * bias.transpose(1, 2), to_projected, weight.transpose(1, 2)
        )
        to_weight = torch.bmm(query.transpose(1, 2), to_projected)
        to_bias = torch.bmm(query.transpose(1, 2), to_offsets)
        to_vectors = None
        if context.needs_input_grad[1]:
            projected = torch.bmm(query, weight).transpose(0, 1)
            to_vectors = torch.bmm(slope.transpose(1, 2), projected)
        return to_query, to_vectors, to_weight, to_bias


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, shares: Tensor, vectors: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        mixed = torch.bmm(shares, vectors).transpose(0, 1)
        totals = shares.sum(2).t().unsqueeze(2)
        context.save_for_backward(vectors, weight, bias, mixed, totals, shares)
        return torch.baddbmm(totals * bias.transpose(1, 2), mixed, weight.transpose(1, 2))

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        vectors, weight, bias, mixed, totals, shares = context.saved_tensors
        (slope,) = slopes
        to_mixed = torch.bmm(slope, weight).transpose(0, 1)
        to_shares = torch.baddbmm(
            torch.bmm(slope, bias).transpose(0, 1), to_mixed, vectors.transpose(1, 2)
        )
        to_weight = torch.bmm(slope.transpose(1, 2), mixed)
        to_bias = torch.bmm(slope.transpose(1, 2), totals)
        to_vectors = None
        if context.needs_input_grad[1]:
            to_vectors = torch.bmm(shares.transpose(1, 2), to_mixed)
        return to_shares, to_vectors, to_weight, to_bias
