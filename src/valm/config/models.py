"""Settings of the models that a study compares: their shared transformer and what each one reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from valm.config.base import Plugin, Settings


class InitFrom(Settings):
    """Published weights that the trunk of every model starts from."""

    checkpoint: str = Field(description="Folder, or id of the Hugging Face hub; safetensors only.")
    revision: str | None = Field(None, description="Commit, tag or branch of a hub id.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="Of its weights: what a model starts from is part of its recipe.",
    )


class Trunk(Settings):
    """The decoder-only transformer that all variants of a study share."""

    architecture: str = Field(
        "fairseq",
        description="'fairseq': scaled embeddings, exact GELU (the paper); 'gpt2': Hugging Face's GPT-2"
        " (with learned positions).",
    )
    init_from: InitFrom | None = Field(
        None,
        description="{checkpoint, revision, sha256} of published weights to start from, of the"
        " architecture gpt2; null: drawn by the seed.",
    )
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

    @model_validator(mode="after")
    def _published_positions_are_learned(self) -> Trunk:
        if self.init_from is not None and self.positions != "learned":
            raise ValueError(
                f"init_from brings learned positions, models.trunk.positions is {self.positions!r}"
            )
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
    objective: str = Field(
        "causal_lm",
        description="What it learns to say: the next token ('causal_lm', 'prefix_lm'), or masked ones"
        " ('masked_lm').",
    )
    image_mask_probability: float = Field(
        0.0, ge=0, le=1, description="How often a token is shown none of its pictures in training."
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
