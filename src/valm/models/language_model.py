"""The language model: a trunk with a fusion, and output embeddings tied to the input's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from valm.errors import ConfigError
from valm.models.branches import Branches
from valm.models.cache import Cache
from valm.models.fusion import Fusion
from valm.models.losses import cross_entropies, mean_cross_entropy
from valm.models.objective import OBJECTIVES
from valm.models.pictures import Pictures
from valm.models.trunk import AttentionWeights, Block, SelfAttention, Trunk, TrunkConfig


class LanguageModel(nn.Module):
    """A language model that may look at pictures of each token.

    Args:
        trunk: Sizes of the transformer.
        fusion: How pictures enter; it makes the blocks of the layers that it wants.
        vocabulary_size: Number of token ids; an objective's own entries come behind them.
        value_width: Width of a picture's vector; without effect where no picture is read.
        objective: Name of what it is trained to say, a registered objective.

    Raises:
        ConfigError: The fusion reads pictures, but in no layer of this trunk.
    """

    def __init__(
        self,
        trunk: TrunkConfig,
        fusion: Fusion,
        vocabulary_size: int,
        value_width: int = 0,
        objective: str = "causal_lm",
    ):
        super().__init__()
        self.fusion, self.value_width = fusion, value_width
        self.objective_name, self.objective = objective, OBJECTIVES.get(objective)
        self.vocabulary_size = vocabulary_size
        fused = {layer: fusion.block(layer, trunk, value_width) for layer in range(trunk.layers)}
        self.fused_layers = tuple(layer for layer, block in fused.items() if block is not None)
        if fusion.reads_pictures and not self.fused_layers:
            raise ConfigError(
                f"the fusion {fusion.name!r} with {fusion.params!r} reads pictures in no layer of a"
                f" trunk of {trunk.layers}",
                where="models.variants[].fusion.params",
                cure="name a layer that the trunk has (models.trunk.layers)",
            )
        self.trunk = Trunk(
            trunk,
            vocabulary_size + self.objective.own_entries,
            lambda i: fused[i] or Block(trunk, SelfAttention(trunk)),
        )

    def forward(
        self,
        ids: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        cache: Cache | None = None,
        prefix: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch tokens vocabulary"]:
        """Logits of the token after each token; a masked LM's: of each token itself.

        Args:
            pictures: Of these tokens.
            cache: The tokens before these, which are read no more; these are added to it.
            prefix: How many of its first tokens all tokens of a text see; None: as the objective has
                it, of a causal or prefix LM none.

        Raises:
            InputError: The input, with what the cache holds, is longer than the trunk's context.
        """
        return functional.linear(self.states(ids, pictures, cache, prefix), self.output_embedding)

    def states(
        self,
        ids: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        cache: Cache | None = None,
        prefix: Int[Tensor, " batch"] | Branches | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """What logits are made of; arguments and errors as of ``forward``.

        Args:
            prefix: As of ``forward``; or how the tokens hang together, where a row holds several texts.
        """
        shown = None if pictures is None else self.objective.pictures(pictures)
        sees = self.objective.prefix(ids) if prefix is None else prefix
        states: Tensor = self.trunk(ids, shown, cache, sees)
        return states

    def empty_cache(self) -> Cache:
        """A cache of no token yet."""
        return Cache(self.trunk.config.layers)

    def loss(
        self,
        ids: Int[Tensor, "batch tokens"],
        answers: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        asked: Bool[Tensor, "batch tokens"] | None = None,
        prefix: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy in nats of the answers at the places that are asked, for training."""
        states = self.states(ids, pictures, prefix=prefix)
        chosen, wanted = _where(asked, states, answers)
        return mean_cross_entropy(chosen, self.output_embedding, wanted)

    def token_losses(
        self,
        ids: Int[Tensor, "batch tokens"],
        answers: Int[Tensor, "batch tokens"],
        pictures: Pictures | None = None,
        asked: Bool[Tensor, "batch tokens"] | None = None,
        prefix: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " asked"]:
        """Cross-entropy in nats of each answer that is asked for, for evaluation."""
        states = self.states(ids, pictures, prefix=prefix)
        chosen, wanted = _where(asked, states, answers)
        return cross_entropies(chosen, self.output_embedding, wanted)

    def attention(
        self, layer: int, ids: Int[Tensor, "batch tokens"], pictures: Pictures | None = None
    ) -> AttentionWeights:
        """Where each token looks in a layer (counted from 0); ``fused_layers`` see pictures."""
        shown = None if pictures is None else self.objective.pictures(pictures)
        prefix = self.objective.prefix(ids)
        states = self.trunk.states_before(layer, ids, shown, prefix=prefix)
        return self.trunk.block(layer).weights(states, shown, prefix)

    def description(self) -> dict[str, Any]:
        """The arguments that make this model again, as plain data."""
        params = self.fusion.params.model_dump(mode="json")
        return {
            "trunk": asdict(self.trunk.config),
            "fusion": {"name": self.fusion.name, "params": params},
            "vocabulary_size": self.vocabulary_size,
            "value_width": self.value_width,
            "objective": self.objective_name,
        }

    @property
    def output_embedding(self) -> Float[Tensor, "vocabulary width"]:
        """The output's weights, which are the input's."""
        return self.trunk.embedding.weight

    @property
    def parameter_count(self) -> int:
        """Number of parameters; tied ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _where(
    asked: Bool[Tensor, "batch tokens"] | None,
    states: Float[Tensor, "batch tokens width"],
    answers: Int[Tensor, "batch tokens"],
) -> tuple[Float[Tensor, "asked width"], Int[Tensor, " asked"]]:
    """States and answers at the places that are asked; None: all."""
    if asked is None:
        return states.flatten(0, 1), answers.flatten()
    return states[asked], answers[asked]
