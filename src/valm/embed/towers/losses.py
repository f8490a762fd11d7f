"""The losses of the two towers: softmax over pictures and over token states, with sets of positives.

Positives are sets (UniCL, SYSTEMS.md section 4): a phrase speaks of all pictures of its name, and a
softmax has the mean of their log-probabilities as its loss. With one positive each it is CLIP's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class PictureSets:
    """Sets of pictures as a list of pairs.

    Attributes:
        sets: Number of the set of each pair, ascending, [pairs].
        pictures: Picture of each pair, [pairs].
        shares: One over the size of its set, float32 [pairs].
        count: Number of sets.
    """

    sets: Int[Tensor, "pairs"]
    pictures: Int[Tensor, "pairs"]
    shares: Float[Tensor, "pairs"]
    count: int

    @classmethod
    def of(cls, members: Sequence[NDArray[np.int64]]) -> PictureSets:
        """Make pairs of the members of each set; no set may be empty."""
        sizes = np.array([len(pictures) for pictures in members])
        sets = np.repeat(np.arange(len(members)), sizes)
        shares = np.repeat(1 / sizes, sizes).astype(np.float32)
        pictures = np.concatenate(members).astype(np.int64)
        tensors = [torch.from_numpy(part) for part in (sets, pictures, shares)]
        return cls(tensors[0], tensors[1], tensors[2], len(members))

    def means(self, rows: Float[Tensor, "pictures width"]) -> Float[Tensor, "sets width"]:
        """The mean row of each set."""
        weighted = rows[self.pictures] * self.shares.to(rows.dtype)[:, None]
        return rows.new_zeros(self.count, rows.shape[1]).index_add(0, self.sets, weighted)

    def membership(self, pictures: int) -> Bool[Tensor, "sets pictures"]:
        """Whether each set holds each of a number of pictures."""
        holds = torch.zeros(self.count, pictures, dtype=torch.bool)
        holds[self.sets, self.pictures] = True
        return holds


def states_to_pictures(
    states: Float[Tensor, "states width"],
    pictures: Float[Tensor, "pictures width"],
    centres: Float[Tensor, "states width"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "states"]:
    """Cross-entropy of each state's softmax over all pictures with the pictures of its set.

    Args:
        states: Unit vectors of token states.
        pictures: Unit vectors of all pictures.
        centres: Mean picture vector of each state's set: the mean of the positives' logits is the
            logit of their mean.
        scale: Inverse temperature.
    """
    logits = scale * (states @ pictures.T)
    return logits.float().logsumexp(dim=-1) - scale * (states.float() * centres.float()).sum(dim=-1)


def pictures_to_states(
    pictures: Float[Tensor, "anchors width"],
    states: Float[Tensor, "states width"],
    positive: Float[Tensor, "anchors states"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "anchors"]:
    """Cross-entropy of each picture's softmax over some states with those that speak of it.

    Args:
        positive: 1 where a state's set holds the picture, else 0; no row is all 0.
    """
    logs = (scale * (pictures @ states.T)).float().log_softmax(dim=-1)
    return -(logs * positive).sum(dim=-1) / positive.sum(dim=-1)


def colour_divergence(
    predicted: Float[Tensor, "states colours"], wanted: Float[Tensor, "states colours"]
) -> Float[Tensor, "states"]:
    """Kullback-Leibler divergence of predicted colour shares (as logarithms) from wanted ones."""
    divergence: Tensor = torch.special.xlogy(wanted, wanted) - wanted * predicted
    return divergence.sum(dim=-1)
