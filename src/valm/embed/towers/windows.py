"""Draws windows of sentences for the text tower: documents, carriers and captions, packed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from valm.config.base import Settings
from valm.core.seeding import unit_interval
from valm.embed.encoder import Sources
from valm.embed.towers.mentions import Mentions, find_mentions
from valm.embed.towers.sentences import (
    NOTHING,
    Carrier,
    Sentence,
    document_texts,
    phrase_forms,
    read_captions,
    read_carrier,
    read_sentence,
)
from valm.embed.words import WordReader
from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.text.tokens import TokenStream
from valm.ingest.vocabulary.tokenizer import Tokenizer

T = TypeVar("T")


class SentenceMix(Settings):
    """What the text tower reads; the three weights need not sum to 1."""

    documents: float = Field(0.2, ge=0, description="Weight of documents that mention pictures.")
    carriers: float = Field(0.7, ge=0, description="Weight of documents with another name put in.")
    captions: float = Field(0.1, ge=0, description="Weight of the pictures' captions.")
    whole_names: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of carriers that get a whole name, not a part or keyword.",
    )
    side_tokens: int = Field(12, ge=0, description="Longest side of a carrier.")
    held_out_fraction: float = Field(
        0.03, ge=0, lt=0.5, description="Share of documents kept for measuring retrieval."
    )


@dataclass(frozen=True)
class Windows:
    """A batch of packed sentences, arrays of shape [windows, tokens]; see ``Sentence``."""

    ids: NDArray[np.int64]
    mentions: NDArray[np.int64]
    ages: NDArray[np.int64]


@dataclass(frozen=True)
class Sentences:
    """All sentences, and the sets of pictures that they speak of.

    Attributes:
        documents: Documents with a mention.
        held_out: Documents with a mention that are not trained on.
        carriers: Surroundings of first mentions, of trained documents.
        forms: Ids of each phrase, singular and plural.
        captions: Ids and the mention (a set of pictures with this caption) of each caption.
        members: Pictures of each set: of the phrases first, then of the captions.
        whole_names: Numbers of the phrases that are whole names.
        parts: Numbers of the other phrases.
    """

    documents: list[Sentence]
    held_out: list[Sentence]
    carriers: list[Carrier]
    forms: list[list[NDArray[np.int64]]]
    captions: list[Sentence]
    members: list[NDArray[np.int64]]
    whole_names: list[int]
    parts: list[int]


def sentences_of(sources: Sources, tokenizer: Tokenizer, mix: SentenceMix) -> Sentences:
    """All sentences that an encoder's sources have for its text tower."""
    reader = WordReader(tokenizer)
    table = read_picture_list(sources.pictures)
    pictures = table.filter(table.column("kept")).to_pylist()
    texts = list(document_texts(TokenStream.open(sources.tokens, "train")))
    mentions = find_mentions(pictures, [reader.read(ids).texts for ids in texts])
    return collect_sentences(texts, pictures, mentions, tokenizer, reader, mix)


def collect_sentences(
    texts: Iterable[NDArray[np.int64]],
    pictures: Sequence[dict[str, Any]],
    mentions: Mentions,
    tokenizer: Tokenizer,
    reader: WordReader,
    mix: SentenceMix,
) -> Sentences:
    """Read the training documents and the captions.

    Args:
        texts: Ids of the training documents.
        pictures: Rows of the picture list that are kept.
    """
    documents, held_out, carriers = [], [], []
    for ids in texts:
        sentence = read_sentence(reader.without_colours(ids), reader, mentions)
        if len(ids) == 0 or sentence.mentions[-1] == NOTHING:
            continue
        if unit_interval(ids.tobytes().hex(), "held_out") < mix.held_out_fraction:
            held_out.append(sentence)
            continue
        documents.append(sentence)
        carrier = read_carrier(ids, reader, mentions, mix.side_tokens)
        carriers += [carrier] if carrier else []
    captions, caption_members = _captions(pictures, tokenizer, reader, len(mentions.names))
    return Sentences(
        documents,
        held_out,
        carriers,
        phrase_forms(mentions, tokenizer),
        captions,
        [*mentions.pictures, *caption_members],
        np.flatnonzero(mentions.exact).tolist(),
        np.flatnonzero(~mentions.exact).tolist(),
    )


def _captions(
    pictures: Sequence[dict[str, Any]], tokenizer: Tokenizer, reader: WordReader, first: int
) -> tuple[list[Sentence], list[NDArray[np.int64]]]:
    """Captions, each of which speaks of all pictures that have it, at its last token."""
    sharing: dict[bytes, list[int]] = {}
    for picture, ids in read_captions(pictures, tokenizer, reader).items():
        sharing.setdefault(ids.tobytes(), []).append(picture)
    sentences, members = [], []
    for number, (data, shared) in enumerate(sharing.items(), start=first):
        ids = np.frombuffer(data, np.int64)
        ages = np.arange(1 - len(ids), 1)
        spoken = np.where(ages == 0, number, NOTHING)
        sentences.append(Sentence(ids, spoken, ages))
        members.append(np.array(shared))
    return sentences, members


def draw_windows(
    sentences: Sentences,
    mix: SentenceMix,
    count: int,
    tokens: int,
    generator: np.random.Generator,
    side: int,
) -> Windows:
    """Draw a batch: each window is filled with sentences, of which the last is cut.

    Args:
        side: Longest side of carriers in this batch, in tokens.
    """

    def draw() -> Sentence:
        return _draw_sentence(sentences, mix, generator, side)

    return pack(draw, count, tokens)


def pack(draw: Callable[[], Sentence], count: int, tokens: int) -> Windows:
    """Fill windows with one sentence after the other."""
    ids = np.zeros((count, tokens), np.int64)
    mentions, ages = np.full_like(ids, NOTHING), np.full_like(ids, -1)
    for row in range(count):
        filled = 0
        while filled < tokens:
            sentence = draw().until(tokens - filled)
            stop = filled + len(sentence)
            ids[row, filled:stop] = sentence.ids
            mentions[row, filled:stop] = sentence.mentions
            ages[row, filled:stop] = sentence.ages
            filled = stop
    return Windows(ids, mentions, ages)


def _draw_sentence(
    sentences: Sentences, mix: SentenceMix, generator: np.random.Generator, side: int
) -> Sentence:
    weights = np.array([mix.documents, mix.carriers, mix.captions]).cumsum()
    kind = int(np.searchsorted(weights, generator.random() * weights[-1], side="right"))
    if kind == 0:
        return _pick(sentences.documents, generator)
    if kind == 2:
        return _pick(sentences.captions, generator)
    whole = generator.random() < mix.whole_names or not len(sentences.parts)
    number = _pick(sentences.whole_names if whole else sentences.parts, generator)
    phrase = _pick(sentences.forms[number], generator)
    # Short ones more often, so that more names are seen.
    before, after = (int((side + 1) * share**2) for share in generator.random(2))
    return _pick(sentences.carriers, generator).around(phrase, number, before, after)


def _pick(items: Sequence[T], generator: np.random.Generator) -> T:
    return items[int(generator.integers(len(items)))]
