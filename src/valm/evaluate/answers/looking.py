"""What a model sees in a text: the weight of every picture, and the words that it expects next.

Figure 2 of the paper shows the attention of a prompt over its pictures, figure 3 what becomes of the
answer when they are exchanged. Both are asked here, for one text and any pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch.nn import functional

from valm.evaluate.answers.answering import Reader


@dataclass(frozen=True)
class Sight:
    """What a model sees in a text of T tokens that are given K pictures each.

    Attributes:
        next_word: Probability of every token of the vocabulary to follow the text, float32 [V].
        text: Attention of each token to those before it, mean over heads, float32 [T, T]; None
            where no layer reads pictures.
        pictures: Attention of each token to its own pictures, float32 [T, K]; with ``text`` it sums
            to one in every row. None as above.
    """

    next_word: Float[NDArray[np.float32], " vocabulary"]
    text: Float[NDArray[np.float32], "tokens tokens"] | None
    pictures: Float[NDArray[np.float32], "tokens pictures"] | None


@torch.inference_mode()
def look(reader: Reader, tokens: Sequence[int]) -> Sight:
    """Ask a model what it sees in a text, in its last layer that reads pictures.

    Args:
        reader: The model with the pictures of these tokens.
        tokens: Ids of the text, at least one and at most the model's context.

    Raises:
        InputError: The text is longer than the model's context.
    """
    model = reader.model
    ids = torch.tensor([list(tokens)])
    pictures = reader.pictures(np.arange(len(tokens))[np.newaxis])
    state = model.states(ids, pictures)[0, -1]
    next_word = functional.linear(state, model.output_embedding).float().softmax(dim=0).numpy()
    if pictures is None or not model.fused_layers:
        return Sight(next_word, None, None)
    weights = model.attention(model.fused_layers[-1], ids, pictures)
    text, seen = (part[0].mean(dim=0).float().numpy() for part in (weights.text, weights.pictures))
    return Sight(next_word, text, seen)
