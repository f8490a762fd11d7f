"""Settings of retrieve: queries, indices, presets, recall, and the K pictures of every token."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from valm.config.base import Settings
from valm.core.registry import did_you_mean
from valm.errors import ConfigError

EXACT = "Flat"


class Query(Settings):
    """How a token's query is formed."""

    scheme: Literal["windows", "chunks"] = Field(
        "windows",
        description="'windows': strictly from its past, cut by position only; 'chunks': cut at"
        " punctuation found by looking ahead (official; CLIP's vocabulary).",
    )
    window_tokens: int = Field(48, ge=2, description="Longest context of a query, in tokens.")
    stride_tokens: int = Field(24, ge=1, description="Distance of window starts, in tokens.")
    sequence_tokens: int = Field(
        512, ge=1, description="Length of the inputs that are cut into chunks: the model's context."
    )

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> Query:
        if self.stride_tokens > self.window_tokens:
            raise ValueError(
                f"stride_tokens {self.stride_tokens} is larger than window_tokens"
                f" {self.window_tokens}: tokens between two windows would have no query"
            )
        return self


class Index(Settings):
    """One faiss index over the picture keys."""

    name: str = Field(description="Name of the index in results and tables.")
    factory: str = Field(description="faiss factory string: Flat, IVF64,PQ48x8 ...")
    exact_below: int = Field(
        0,
        ge=0,
        description="Of fewer pictures it is Flat, exact search, whatever the factory string.",
    )
    keys: Literal["unit", "raw"] = Field(
        "unit", description="Keys of unit length, or as long as the encoder gave them (official)."
    )
    similarity: Literal["inner_product", "l2"] = Field(
        "inner_product", description="'inner_product', or squared distance: 'l2'."
    )
    pictures_fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the image base that it holds, drawn by hash."
    )
    training_vectors: int | None = Field(
        None, ge=1, description="Keys that k-means is trained on, drawn at random; null = all."
    )
    nprobe: int = Field(1, ge=1, description="Inverted lists searched per query (IVF only).")
    minimum_score: float | None = Field(
        None, description="Pictures that are less similar are found by no token; null = all are."
    )
    recall_floor: float = Field(
        0.0, ge=0, le=1, description="The study fails if recall@top_k falls below this."
    )

    def holding(self, pictures: int) -> Index:
        """The settings of this index when it holds so many pictures."""
        return self.model_copy(update={"factory": EXACT}) if pictures < self.exact_below else self


class Preset(Settings):
    """One way to find the pictures of every token, with tables of its own.

    The published system and a corrected one differ in how a query is formed and in what is searched;
    as two presets of one study, models of both are trained and asked side by side.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Name in results and in variants.")
    query: Query = Field(default_factory=Query, description="Queries.")
    index: str = Field("exact", description="The index that neighbours are taken from.")
    mode: Literal["cached", "online"] = Field(
        "cached",
        description="'cached': a table of every token's pictures, made once for all models; 'online': found"
        " while a model is trained, with no table on the disk.",
    )
    exclude_same_document: bool = Field(
        True,
        description="No token of a document finds a picture that the document came with: whose caption it"
        " is, or whose pixels it tells of.",
    )
    text_states: bool = Field(
        True,
        description="Keep each token's own state, for the text-state control: 2 bytes a value.",
    )


class Recall(Settings):
    """How the recall of each index is measured against exact search."""

    queries: int = Field(2000, ge=1, description="Token states drawn from the validation text.")
    at: list[int] = Field([1, 4, 8], description="Values of k for recall@k.")


class Retrieve(Settings):
    """Indices, recall, and the K pictures of every token."""

    indices: list[Index] = Field(
        [
            Index(name="exact", factory="Flat", recall_floor=0.999),
            Index(name="ivf_pq", factory="IVF64,PQ48x8", nprobe=16, recall_floor=0.3),
        ],
        description="Indices that are built and compared.",
    )
    presets: list[Preset] = Field(
        [Preset(name="fixed")],
        min_length=1,
        description="Ways to find pictures; a variant is given the pictures of one.",
    )
    top_k: int = Field(4, ge=1, le=64, description="Pictures per token (K).")
    recall: Recall = Field(default_factory=Recall, description="Recall report.")

    def preset_named(self, name: str | None) -> Preset:
        """The preset of a name; without one, the first.

        Raises:
            ConfigError: There is no such preset.
        """
        for preset in self.presets:
            if name in (None, preset.name):
                return preset
        names = [preset.name for preset in self.presets]
        raise ConfigError(
            f"there is no preset {name!r}",
            where="retrieve.presets",
            cure=did_you_mean(str(name), names),
        )

    @model_validator(mode="after")
    def _indices_are_built(self) -> Retrieve:
        names = [index.name for index in self.indices]
        for preset in self.presets:
            if preset.index not in names:
                raise ValueError(
                    f"the index {preset.index!r} of the preset {preset.name!r} is not among indices;"
                    f" {did_you_mean(preset.index, names)}"
                )
        return self
