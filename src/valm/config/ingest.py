"""Settings of ingest: raw pictures, text and evaluation sets, and the vocabulary."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from valm.config.base import Settings


class PictureStorage(Settings):
    """How pictures are written into shards."""

    side_pixels: int = Field(160, ge=16, description="Longer side of a stored picture.")
    samples_per_shard: int = Field(1000, ge=1, le=10000, description="Pictures in one tar shard.")
    maximum_megapixels: float = Field(
        40.0, gt=0, description="Larger pictures are rejected from their header, before decoding."
    )
    maximum_reject_fraction: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of rejected pictures above which a source or shard fails.",
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
    params: dict[str, dict[str, Any]] = Field(
        {}, description="Parameters of picture sources that take any, by source."
    )
    expected: int | None = Field(
        None, ge=1, description="Pictures that the sources will give, for `valm describe --study`."
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
    params: dict[str, dict[str, Any]] = Field(
        {}, description="Parameters of text sources that take any, by source."
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
    decontaminate: Literal["off", "report", "remove"] = Field(
        "off",
        description="Training documents that share 13 words in a row with an evaluation set: 'report'"
        " counts them, 'remove' leaves them out and counts what is left.",
    )

    @field_validator("decontaminate", mode="before")
    @classmethod
    def _off_without_quotes(cls, value: Any) -> Any:
        """YAML 1.1 reads a bare ``off`` as false, and DVC writes it bare (`dvc exp run -S`)."""
        return "off" if value is False else value


class Tokenizer(Settings):
    """The vocabulary that the language model and the encoder's text tower share."""

    kind: Literal["bpe", "clip", "clip_fairseq", "hub"] = Field(
        "bpe",
        description="'bpe' is trained on the study's text; 'clip' is OpenAI CLIP's;"
        " 'clip_fairseq' the same behind fairseq's four entries (official); 'hub' a checkpoint's.",
    )
    checkpoint: str | None = Field(
        None, description="Folder, or id of the Hugging Face hub, whose tokenizer.json 'hub' takes."
    )
    revision: str | None = Field(None, description="Commit, tag or branch of a hub id.")
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
