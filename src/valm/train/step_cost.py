"""What a model weighs and what a token of its training costs, counted on a model that holds no numbers.

Tensors on torch's ``meta`` device have shapes only: a model of any size is made, and one step of it counted, in a
moment and in no memory, by the very code that trains it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from valm.config.models import Trunk, Variant
from valm.models.fusion import make_fusion
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig


@dataclass(frozen=True)
class StepCost:
    """A model's size and work.

    Attributes:
        parameters: Tied ones count once.
        operations: Floating-point operations of matrix products, forward and back, for each token.
    """

    parameters: int
    operations: float


def step_cost(
    trunk: Trunk, variant: Variant, vocabulary_size: int, value_width: int, top_k: int
) -> StepCost:
    """Count one sequence of training.

    Args:
        trunk: Sizes of the transformer.
        variant: How pictures enter, and what is learnt.
        vocabulary_size: Number of token ids.
        value_width: Width of a picture's vector.
        top_k: Pictures a token.
    """
    fusion = make_fusion(variant.fusion.name, variant.fusion.params)
    context = trunk.context_tokens
    with torch.device("meta"):
        config = TrunkConfig(**trunk.model_dump(exclude={"init_from"}))
        model = LanguageModel(config, fusion, vocabulary_size, value_width, variant.objective)
        ids = torch.zeros(1, context, dtype=torch.long)
        pictures = None
        if fusion.reads_pictures:
            vectors = torch.zeros(1, context, top_k, value_width)
            mask = torch.ones(1, context, top_k, dtype=torch.bool)
            pictures = Pictures(mask=mask, vectors=vectors, standardised=True)
        with FlopCounterMode(display=False) as counter:
            model.loss(ids, ids, pictures).backward()  # type: ignore[no-untyped-call]
    return StepCost(model.parameter_count, counter.get_total_flops() / context)
