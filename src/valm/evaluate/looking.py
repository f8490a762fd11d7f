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

from valm.evaluate.answering import Reader
from valm.models.language_model import LanguageModel
from valm.models.pictures import standardise
from valm.retrieve.given import give

NONE = "none"


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


def reader_of(
    model: LanguageModel,
    control: str,
    ids: NDArray[np.int32],
    states: NDArray[np.float16],
    values: NDArray[np.float16],
    seed: int,
) -> Reader:
    """A model with what a control gives it for the tokens of one text.

    Args:
        control: Name of a picture control; ``none``: no pictures at all.
        ids: Rows that were retrieved, [T, K], -1 where there is nothing.
        states: The tokens' text states as picture values, [T, value width].
        values: Values of all pictures, [N, value width]; may be mapped.
        seed: The study's seed.
    """
    if control == NONE:
        return Reader(model, None, torch.empty(0, values.shape[1]))
    given = give(control, ids, states, len(values), seed)
    table = torch.empty(0, values.shape[1])
    if given.ids is not None:
        rows, places = np.unique(given.ids, return_inverse=True)
        table = standardise(torch.from_numpy(values[rows]).float())
        given = type(given)(given.mask, ids=places.reshape(given.ids.shape).astype(np.int32))
    return Reader(model, given, table)


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
    state = model.trunk(ids, pictures)[0, -1]
    next_word = functional.linear(state, model.output_embedding).float().softmax(dim=0).numpy()
    if pictures is None or not model.fused_layers:
        return Sight(next_word, None, None)
    weights = model.attention(model.fused_layers[-1], ids, pictures)
    text, seen = (part[0].mean(dim=0).float().numpy() for part in (weights.text, weights.pictures))
    return Sight(next_word, text, seen)
