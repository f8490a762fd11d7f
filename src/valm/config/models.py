"""Settings of the models that a study compares: their shared transformer and what each one reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from valm.config.base import Plugin, Settings


class Trunk(Settings):
    """The decoder-only transformer that all variants of a study share."""

    layers: int = Field(4, ge=2, description="Transformer blocks.")
    width: int = Field(192, ge=8, description="Width of the hidden states.")
    heads: int = Field(4, ge=1, description="Attention heads.")
    context_tokens: int = Field(64, ge=2, description="Longest input, in tokens.")
    positions: Literal["sinusoidal", "learned"] = Field(
        "sinusoidal", description="Position embeddings; the paper's code uses sinusoidal ones."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout of embeddings, attention, residuals."
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Trunk:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Variant(Settings):
    """One model of the study: which fusion reads which pictures."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Name in results and tables.")
    fusion: Plugin = Field(
        Plugin(name="none"), description="How pictures enter: 'none' (GPT-2*), 'joint' (VaLM)."
    )
    pictures: str = Field(
        "none", description="What it is given in training: a registered picture control."
    )
    preset: str | None = Field(
        None, description="The preset of retrieve.presets whose pictures it reads; null: the first."
    )
    top_k: int | None = Field(
        None, ge=1, description="Pictures per token, of those found; null: retrieve.top_k."
    )

    @property
    def takes_controls(self) -> bool:
        """Whether it is evaluated with other pictures too: only what learnt from retrieved ones."""
        return self.pictures == "retrieved"


class Models(Settings):
    """The models that are trained, all on the same tokens with the same seeds."""

    trunk: Trunk = Field(default_factory=Trunk, description="The shared transformer.")
    variants: list[Variant] = Field(
        [
            Variant(name="gpt2_star"),
            Variant(name="valm", fusion=Plugin(name="joint"), pictures="retrieved"),
            Variant(name="valm_random", fusion=Plugin(name="joint"), pictures="random"),
            Variant(name="valm_text_state", fusion=Plugin(name="joint"), pictures="text_state"),
        ],
        description="GPT-2*, VaLM, and VaLM trained on the controls.",
    )

    def named(self, name: str) -> Variant:
        """The variant of a name, which is known to exist."""
        return next(variant for variant in self.variants if variant.name == name)
