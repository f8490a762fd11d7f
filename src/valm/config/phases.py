"""The sections of ``config.yaml``, one a phase. The defaults are the ``small`` study.

A node of this tree is what one verb reads (``valm.config.verbs``), so that changing a key re-runs
exactly the rules that read it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from valm.config.base import Plugin, Settings

# --- ingest ------------------------------------------------------------------------------------


class PictureStorage(Settings):
    """How pictures are written into shards."""

    side_pixels: int = Field(160, ge=16, description="Longer side of a stored picture.")
    samples_per_shard: int = Field(1000, ge=1, le=10000, description="Pictures in one tar shard.")
    maximum_megapixels: float = Field(
        40.0, gt=0, description="Larger pictures are rejected from their header, before decoding."
    )


class Duplicates(Settings):
    """When two pictures count as one."""

    distance_bits: int = Field(
        2, ge=0, le=64, description="Largest Hamming distance of the 64-bit hashes of duplicates."
    )
    colour_distance: int = Field(
        12, ge=0, le=255, description="Largest difference of their mean red, green and blue."
    )


class Pictures(Settings):
    """Where pictures come from and how they are kept."""

    sources: list[str] = Field(
        ["fluent_emoji", "google_emoji", "twitter_emoji"],
        description="Picture sources, in the order of their picture ids.",
    )
    storage: PictureStorage = Field(default_factory=PictureStorage, description="Shard layout.")
    duplicates: Duplicates = Field(default_factory=Duplicates, description="Near-duplicates.")


class TextSource(Settings):
    """One source of documents and how much of it is used."""

    name: str = Field(description="Name of the text source.")
    maximum_tokens: int | None = Field(
        None, ge=1, description="Documents are drawn in hash order up to this many; null = all."
    )


class ColourNotes(Settings):
    """Template sentences whose colour is measured from the pixels of pictures."""

    share: float = Field(0.11, ge=0, lt=1, description="Share of the training tokens; 0 = none.")


class Split(Settings):
    """How documents fall into train, valid and test: by the hash of their text."""

    valid_fraction: float = Field(0.02, ge=0, lt=0.5, description="Share of validation documents.")
    test_fraction: float = Field(0.03, ge=0, lt=0.5, description="Share of test documents.")


class Text(Settings):
    """Where text comes from and how it is split."""

    sources: list[TextSource] = Field(
        [
            TextSource(name="wordnet_glosses", maximum_tokens=450_000),
            TextSource(name="encyclopedia_leads", maximum_tokens=200_000),
            TextSource(name="brown", maximum_tokens=60_000),
            TextSource(name="reviews", maximum_tokens=60_000),
            TextSource(name="captions"),
        ],
        description="Text sources, each with its cap in tokens.",
    )
    colour_notes: ColourNotes = Field(
        default_factory=ColourNotes, description="Sentences made from pixels."
    )
    split: Split = Field(default_factory=Split, description="Train, valid and test.")
    documents: Literal["blank_lines", "lines"] = Field(
        "blank_lines",
        description="Where a text ends: 'blank_lines'; or 'lines', a blank one too, and blocks of"
        " 1,000 lines are split and shuffled (official).",
    )


class Tokenizer(Settings):
    """The vocabulary that the language model and the encoder's text tower share."""

    kind: Literal["bpe", "clip", "clip_fairseq"] = Field(
        "bpe",
        description="'bpe' is trained on the study's text; 'clip' is OpenAI CLIP's;"
        " 'clip_fairseq' the same behind fairseq's four entries (official).",
    )
    vocabulary_size: int = Field(
        4096, ge=300, description="Entries of a trained vocabulary; CLIP's has 49,408."
    )


class Ingest(Settings):
    """Raw pictures, text and evaluation sets."""

    mirror: str | None = Field(
        None, description="Tree <host>/<path> to take raw files from; VALM_MIRROR overrides it."
    )
    pictures: Pictures = Field(default_factory=Pictures, description="The image base.")
    text: Text = Field(default_factory=Text, description="The training text.")
    tokenizer: Tokenizer = Field(default_factory=Tokenizer, description="The vocabulary.")


# --- embed -------------------------------------------------------------------------------------


class Features(Settings):
    """What a packaged ImageNet network and the pixels say of each picture."""

    side_pixels: int = Field(
        160, ge=32, le=1024, description="Side that pictures are padded and scaled to."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Type that the network computes in; features are kept as float16."
    )


class Embed(Settings):
    """The encoder of pictures and token states, and the vectors it gives."""

    features: Features = Field(
        default_factory=Features, description="Picture features, for encoders that need them."
    )
    encoder: Plugin = Field(
        Plugin(name="two_tower"),
        description="'two_tower' is trained here; 'open_clip' loads a model and checkpoint.",
    )


# --- retrieve ----------------------------------------------------------------------------------


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
    keys: Literal["unit", "raw"] = Field(
        "unit", description="Keys of unit length, or as long as the encoder gave them (official)."
    )
    similarity: Literal["inner_product", "l2"] = Field(
        "inner_product", description="'inner_product', or squared distance: 'l2'."
    )
    training_vectors: int | None = Field(
        None, ge=1, description="Keys that k-means is trained on, drawn at random; null = all."
    )
    nprobe: int = Field(1, ge=1, description="Inverted lists searched per query (IVF only).")
    recall_floor: float = Field(
        0.0, ge=0, le=1, description="The study fails if recall@top_k falls below this."
    )


class Recall(Settings):
    """How the recall of each index is measured against exact search."""

    queries: int = Field(2000, ge=1, description="Token states drawn from the validation text.")
    at: list[int] = Field([1, 4, 8], description="Values of k for recall@k.")


class Retrieve(Settings):
    """Indices, recall, and the K pictures of every token."""

    query: Query = Field(default_factory=Query, description="Queries.")
    indices: list[Index] = Field(
        [
            Index(name="exact", factory="Flat", recall_floor=0.999),
            Index(name="ivf_pq", factory="IVF64,PQ48x8", nprobe=16, recall_floor=0.3),
        ],
        description="Indices that are built and compared.",
    )
    index: str = Field("exact", description="The index that neighbours are taken from.")
    top_k: int = Field(4, ge=1, le=64, description="Pictures per token (K).")
    recall: Recall = Field(default_factory=Recall, description="Recall report.")

    @model_validator(mode="after")
    def _index_is_built(self) -> Retrieve:
        names = [index.name for index in self.indices]
        if self.index not in names:
            raise ValueError(f"index {self.index!r} is not among indices: {', '.join(names)}")
        return self


# --- train -------------------------------------------------------------------------------------


class Optimiser(Settings):
    """AdamW and its schedule."""

    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate.")
    warmup_steps: int = Field(100, ge=0, description="Linear warm-up from zero.")
    schedule: Literal["cosine", "inverse_sqrt"] = Field(
        "cosine", description="After warm-up: cosine to 10 %, or inverse square root (the paper)."
    )
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay.")
    betas: tuple[float, float] = Field((0.9, 0.98), description="Adam's moment decays.")
    clip_norm: float = Field(2.0, gt=0, description="Largest global gradient norm.")


class Devices(Settings):
    """The processes that train one model together, and what they trade for memory.

    How the batch of a step is shared out changes no more than the last bits of a result.
    """

    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="Several processes: each a whole model (ddp), or a share (fsdp, GPUs only).",
    )
    per_node: int = Field(1, ge=1, description="Processes a machine: one a GPU.")
    nodes: int = Field(1, ge=1, description="Machines; more than one are started by srun.")
    accumulate_steps: int = Field(
        1, ge=1, description="Parts of a step's batch that a process computes one after the other."
    )
    activation_checkpointing: bool = Field(
        False, description="Compute each block's activations again on the way back: less memory."
    )

    @property
    def processes(self) -> int:
        """All processes of a training."""
        return self.per_node * self.nodes


class Train(Settings):
    """How every variant is trained."""

    seeds: list[int] = Field(
        [1, 2, 3], min_length=1, description="One model of each variant a seed."
    )
    steps: int = Field(1000, ge=1, description="Optimiser steps.")
    sequences_per_step: int = Field(16, ge=1, description="Sequences in one step's batch.")
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Autocast type of the forward pass; weights stay float32."
    )
    optimiser: Optimiser = Field(default_factory=Optimiser, description="AdamW and schedule.")
    validate_every_steps: int = Field(250, ge=1, description="Steps between validation losses.")
    validation_tokens: int = Field(
        8192, ge=1, description="Validation tokens used during training."
    )
    metrics_every_steps: int = Field(
        10, ge=1, description="Steps averaged in one line of metrics.jsonl."
    )
    checkpoint_every_steps: int = Field(250, ge=1, description="Steps between checkpoints.")
    compile: bool = Field(
        False, description="Compile the model with torch.compile: pays on a GPU and in long runs."
    )
    tracking: Literal["none", "wandb", "trackio"] = Field(
        "none", description="Service that shows the losses too; its package is yours to install."
    )
    devices: Devices = Field(default_factory=Devices, description="Processes and memory.")

    @model_validator(mode="after")
    def _batch_divides(self) -> Train:
        parts = self.devices.processes * self.devices.accumulate_steps
        if self.sequences_per_step % parts:
            raise ValueError(
                f"sequences_per_step {self.sequences_per_step} does not divide by"
                f" {self.devices.processes} processes x {self.devices.accumulate_steps} parts:"
                f" make it a multiple of {parts}"
            )
        return self


# --- evaluate and report -----------------------------------------------------------------------


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
    controls: list[str] = Field(
        ["permuted", "random", "zero", "none", "oracle"],
        description="Pictures that models trained on retrieved ones are also evaluated with.",
    )
    baselines: list[BaselineEntry] = Field(
        [], description="Models of others that answer the same tasks (docs/baselines.md)."
    )
    statistics: Statistics = Field(default_factory=Statistics, description="Intervals and tests.")


class Report(Settings):
    """What the notebooks and the HTML report show."""

    prompts: list[str] = Field(
        [
            "the color of a banana is",
            "the color of a strawberry is",
            "the color of a frog is",
            "the color of an elephant is",
            "the color of a carrot is",
            "the color of snow is",
            "a tomato is a fruit",
            "a fast red car",
            "the shape of a ball is",
            "the shape of a pizza box is",
            "a whale is larger than a mouse",
            "she gave him a heart",
        ],
        description="Prompts whose retrieved pictures are shown.",
    )
