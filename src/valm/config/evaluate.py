"""Settings of evaluate: tasks, controls, baselines and statistics."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from valm.config.base import Settings


class BaselineEntry(Settings):
    """A model of others that answers the study's tasks."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Name in results and tables.")
    kind: str = Field(
        description="How it is asked: 'causal_lm', 'masked_lm', 'visual_bert' or 'clip_text'."
    )
    checkpoint: str = Field(description="Folder, or id of the Hugging Face hub; safetensors only.")
    revision: str | None = Field(None, description="Commit, tag or branch of a hub id.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Of its weights; checked before they are read."
    )


class Statistics(Settings):
    """Item-level bootstrap intervals and paired tests."""

    bootstrap_samples: int = Field(2000, ge=100, description="Resamples of the items.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    comparisons: list[tuple[str, str]] = Field(
        [
            ("valm", "gpt2_star"),
            ("valm", "valm_random"),
            ("valm", "valm_text_state"),
            ("valm", "valm:permuted"),
        ],
        description="Pairs that are tested; 'model:control' names a control at evaluation.",
    )


class Counterfactual(Settings):
    """A prompt whose pictures are exchanged for others."""

    prompt: str = Field(description="Text that ends where a colour word is expected.")
    instead: str = Field(description="Name of the pictures that take the place of the retrieved.")


class Evaluate(Settings):
    """Tasks, controls and statistics."""

    tasks: list[str] = Field(
        ["colour", "shape", "size", "held_out_text", "sentiment", "topic"],
        description="Tasks, each one registered file.",
    )
    optional_tasks: list[str] = Field(
        ["memory_color", "color_terms"],
        description="Tasks that run where their data can be reached, and say so where not.",
    )
    samples: dict[str, PositiveInt | None] = Field(
        {},
        description="Items that a task asks about, by task, in place of its own number; null: all.",
    )
    words: dict[str, PositiveInt | None] = Field(
        {},
        description="First words that a task reads of each text, by task, in place of its own number; null: all.",
    )
    controls: list[str] = Field(
        ["permuted", "random", "zero", "none", "oracle"],
        description="Pictures that models trained on retrieved ones are also evaluated with.",
    )
    baselines: list[BaselineEntry] = Field(
        [], description="Models of others that answer the same tasks (docs/baselines.md)."
    )
    counterfactuals: list[Counterfactual] = Field(
        [
            Counterfactual(prompt="the color of an apple is", instead="green apple"),
            Counterfactual(prompt="the color of a banana is", instead="cucumber"),
            Counterfactual(prompt="the color of a frog is", instead="pig"),
            Counterfactual(prompt="the color of a tomato is", instead="eggplant"),
        ],
        description="Prompts whose attention is drawn, and whose pictures are exchanged.",
    )
    statistics: Statistics = Field(default_factory=Statistics, description="Intervals and tests.")
