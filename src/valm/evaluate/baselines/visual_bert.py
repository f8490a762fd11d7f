"""VisualBERT without pictures: no visual embeddings, the token logits of its pre-training head.

As a masked language model otherwise (SYSTEMS.md 7).
"""

from __future__ import annotations

from typing import Any, ClassVar

import transformers

from valm.evaluate.baselines.masked_lm import MaskedLM


class VisualBert(MaskedLM):
    """Predicts masked tokens; its checkpoints hold BERT's vocabulary."""

    family: ClassVar[type[Any]] = transformers.VisualBertForPreTraining
    output: ClassVar[str] = "prediction_logits"


PLUGIN = VisualBert()
