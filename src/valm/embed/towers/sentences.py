"""The sentences that a text tower learns from: token ids, and what each position speaks of.

Three kinds, from the training split only: documents that mention pictures; carriers, where another
name takes the place of a document's first mention, so that any name meets any context; captions.

No sentence states a probe's answer: carriers hold no colour words, and neither do documents and
captions that hold a word of a probe's object. The colour notes, made from pixels, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.embed.towers.mentions import Mentions
from valm.embed.words import WordReader
from valm.ingest.nouns import plural
from valm.ingest.text.tokens import TokenStream
from valm.ingest.vocabulary.tokenizer import Tokenizer

COLOUR_NOTES = "colour_notes"
NOTHING = -1


@dataclass(frozen=True)
class Sentence:
    """Tokens and what they speak of, arrays of shape [tokens].

    Attributes:
        ids: Token ids, int64.
        mentions: Number of the last phrase mentioned; before the first mention, the number of that
            first one, which is still to come; NOTHING if there is none. int64.
        ages: Tokens since the end of the phrase; negative before the first mention. int64.
    """

    ids: NDArray[np.int64]
    mentions: NDArray[np.int64]
    ages: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def until(self, stop: int) -> Sentence:
        """The first tokens."""
        return Sentence(self.ids[:stop], self.mentions[:stop], self.ages[:stop])


@dataclass(frozen=True)
class Carrier:
    """A document's tokens around its first mention, up to the second one."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]

    def around(self, phrase: NDArray[np.int64], mention: int, before: int, after: int) -> Sentence:
        """The sentence that speaks of another phrase in the same place.

        Args:
            before: Tokens kept before the phrase.
            after: Tokens kept after it.
        """
        start = self.before[max(0, len(self.before) - before) :]
        ids = np.concatenate([start, phrase, self.after[:after]])
        ages = np.arange(len(ids)) - (len(start) + len(phrase) - 1)
        return Sentence(ids, np.full(len(ids), mention), ages)


def document_texts(stream: TokenStream) -> Iterator[NDArray[np.int64]]:
    """The documents' ids without their end of text; colour notes and blank lines are passed over."""
    starts, ends = stream.documents[:-1], stream.documents[1:] - 1
    for start, end, source in zip(starts, ends, stream.sources, strict=True):
        if stream.source_names[source] != COLOUR_NOTES and start < end:
            yield np.asarray(stream.tokens[start:end], np.int64)


def read_sentence(ids: NDArray[np.int64], reader: WordReader, mentions: Mentions) -> Sentence:
    """Find what each position of a text speaks of."""
    words = reader.read(ids)
    spoken = np.full(len(ids), NOTHING)
    ages = np.full(len(ids), -len(ids))
    found = mentions.find(words.texts)
    for place, (_, stop, mention) in enumerate(found):
        end = int(words.last[stop - 1])
        if place == 0:
            spoken[:end], ages[:end] = mention, np.arange(-end, 0)
        spoken[end:], ages[end:] = mention, np.arange(len(ids) - end)
    return Sentence(ids, spoken, ages)


def read_carrier(
    ids: NDArray[np.int64], reader: WordReader, mentions: Mentions, longest: int
) -> Carrier | None:
    """The surroundings of the first mention, at most ``longest`` tokens on each side."""
    ids = reader.without_colours(ids, always=True)
    words = reader.read(ids)
    found = mentions.find(words.texts)
    if not found:
        return None
    start, stop, _ = found[0]
    end = int(words.first[found[1][0]]) if len(found) > 1 else len(ids)
    first, after = int(words.first[start]), int(words.last[stop - 1]) + 1
    return Carrier(ids[max(0, first - longest) : first], ids[after : min(end, after + longest)])


def phrase_forms(mentions: Mentions, tokenizer: Tokenizer) -> list[list[NDArray[np.int64]]]:
    """The ids of each phrase in singular and, where that speaks of the same, in plural."""
    forms = []
    for number, name in enumerate(mentions.names):
        texts = [name]
        if mentions.numbers[plural(name)] == number:
            texts.append(plural(name))
        forms.append([np.array(tokenizer.encode(text)) for text in texts])
    return forms


def read_captions(
    pictures: Sequence[dict[str, Any]], tokenizer: Tokenizer, reader: WordReader
) -> dict[int, NDArray[np.int64]]:
    """Each picture's caption as ids, without colour words where a probe's object is named."""
    return {
        picture["id"]: reader.without_colours(np.array(tokenizer.encode(picture["caption"])))
        for picture in pictures
        if picture["caption"]
    }
