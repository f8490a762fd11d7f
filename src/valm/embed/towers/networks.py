"""The two towers: pictures' features and tokens' states in one space of unit vectors."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from valm.embed.towers.text_transformer import TextTransformer

TEXT_HEADS = 4


class PictureTower(nn.Module):
    """Reduced features and the colour descriptor, through one hidden layer, to a unit vector.

    Args:
        inputs: Width of the input.
        hidden: Width of the hidden layer.
        width: Width of the result.
    """

    def __init__(self, inputs: int, hidden: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, inputs: Float[Tensor, "pictures inputs"]) -> Float[Tensor, "pictures width"]:
        """Vectors of pictures, unit length."""
        return functional.normalize(self.layers(inputs).float(), dim=-1)


def text_states(text: Any, ids: Int[Tensor, "texts tokens"]) -> Float[Tensor, "texts tokens width"]:
    """The states of a text transformer, ours or open_clip's, at all positions, after its last layer norm.

    open_clip itself pools one position; a retrieval by every token needs all of them (VALM.md 3.1).
    Causal: the state at a position depends on the ids up to it.
    """
    length = ids.shape[1]
    states = text.token_embedding(ids) + text.positional_embedding[:length]
    mask = text.attn_mask[:length, :length]
    final: Tensor = text.ln_final(text.transformer(states, attn_mask=mask))
    return final


class TextTower(nn.Module):
    """A causal transformer whose every token state retrieves, with a head that tells colours.

    Args:
        vocabulary_size: Ids of the tokenizer.
        context_tokens: Longest input.
        layers: Transformer blocks.
        width: Width of the states and of the result.
        colours: Colours that the head tells apart.
        features: Width of the result, if it is another one.
    """

    def __init__(
        self,
        vocabulary_size: int,
        context_tokens: int,
        layers: int,
        width: int,
        colours: int,
        features: int | None = None,
    ):
        super().__init__()
        self.context_tokens = context_tokens
        self.transformer = TextTransformer(
            context_length=context_tokens,
            vocab_size=vocabulary_size,
            width=width,
            heads=TEXT_HEADS,
            layers=layers,
            output_dim=width if features is None else features,
        )
        self.colour_head = nn.Linear(width, colours)

    def forward(
        self, ids: Int[Tensor, "texts tokens"]
    ) -> tuple[Float[Tensor, "texts tokens width"], Float[Tensor, "texts tokens colours"]]:
        """Unit vectors and the logarithm of the colours' shares, at every position."""
        states = text_states(self.transformer, ids)
        vectors = functional.normalize((states @ self.transformer.text_projection).float(), dim=-1)
        return vectors, self.colour_head(states).float().log_softmax(dim=-1)
