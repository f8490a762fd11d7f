"""The language model: a trunk with a fusion, and output embeddings tied to the input's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from valm.models.cache import Cache
from valm.models.fusion import Fusion
from valm.models.losses import cross_entropies, mean_cross_entropy
from valm.models.pictures import Pictures
from valm.models.trunk import AttentionWeights, Block, SelfAttention, Trunk, TrunkConfig


class LanguageModel(nn.Module):
    """A causal language model that may look at pictures of each token.

    Args:
        trunk: Sizes of the transformer.
        fusion: How pictures enter; it makes the blocks of the layers that it wants.
        vocabulary_size: Number of token ids.
        value_width: Width of a picture's vector; without effect where no picture is read.
    """

    def __init__(
        self, trunk: TrunkConfig, fusion: Fusion, vocabulary_size: int, value_width: int = 0
    ):
        super().__init__()
        self.fusion, self.value_width = fusion, value_width
        fused = {layer: fusion.block(layer, trunk, value_width) for layer in range(trunk.layers)}
        self.fused_layers = tuple(layer for layer, block in fused.items() if block is not None)
        self.trunk = Trunk(
            trunk, vocabulary_size, lambda i: fused[i] or Block(trunk, SelfAttention(trunk))
        )

    def forward(
        self,
        ids: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch tokens vocabulary"]:
        """Logits of the token after each token.

        Args:
            pictures: Of these tokens.
            cache: The tokens before these, which are read no more; these are added to it.

        Raises:
            InputError: The input, with what the cache holds, is longer than the trunk's context.
        """
        return functional.linear(self.trunk(ids, pictures, cache), self.output_embedding)

    def empty_cache(self) -> Cache:
        """A cache of no token yet."""
        return Cache(self.trunk.config.layers)

    def loss(
        self,
        ids: Int[Tensor, "batch tokens"],
        targets: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy of the targets in nats, for training."""
        states = self.trunk(ids, pictures).flatten(0, 1)
        return mean_cross_entropy(states, self.output_embedding, targets.flatten())

    def token_losses(
        self,
        ids: Int[Tensor, "batch tokens"],
        targets: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
    ) -> Float[Tensor, "batch tokens"]:
        """Cross-entropy of each target in nats, for evaluation."""
        states = self.trunk(ids, pictures).flatten(0, 1)
        losses = cross_entropies(states, self.output_embedding, targets.flatten())
        return losses.view(targets.shape)

    def attention(
        self, layer: int, ids: Int[Tensor, "batch tokens"], pictures: Pictures | None = None
    ) -> AttentionWeights:
        """Where each token looks in a layer (counted from 0); ``fused_layers`` see pictures."""
        states = self.trunk.states_before(layer, ids, pictures)
        return self.trunk.block(layer).weights(states, pictures)

    def description(self) -> dict[str, Any]:
        """The arguments that make this model again, as plain data."""
        params = self.fusion.params.model_dump(mode="json")
        return {
            "trunk": asdict(self.trunk.config),
            "fusion": {"name": self.fusion.name, "params": params},
            "vocabulary_size": self.trunk.embedding.num_embeddings,
            "value_width": self.value_width,
        }

    @property
    def output_embedding(self) -> Float[Tensor, "vocabulary width"]:
        """The output's weights, which are the input's."""
        return self.trunk.embedding.weight

    @property
    def parameter_count(self) -> int:
        """Number of parameters; tied ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())
