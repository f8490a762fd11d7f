"""``find-neighbours``: the K nearest pictures of every token of a split, as memory-mapped tables.

The official code encodes and searches anew in every forward pass (VALM.md 3.2), for every model, seed
and epoch. A token's query does not depend on the model that is trained, so here it is done once: ids,
scores, mask, and the text state that the text-state control reads (a large study does without it).

A stream is worked through in blocks. A block that is done stays done: after kill -9 the same command
goes on at the next block, and the tables are bit for bit those of an undisturbed run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from valm.config.retrieve import Preset, Query
from valm.core.growing_table import GrowingTable
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.progress import Tracker
from valm.embed.encoder import Encoder, load_encoder
from valm.errors import InputError, IntegrityError
from valm.ingest.text.tokens import TokenStream
from valm.retrieve.index import Excluded, Searcher
from valm.retrieve.queries import (
    BLOCK_TOKENS,
    States,
    inputs_of_texts,
    queried_texts,
    states_at,
    token_states,
)

KIND = "neighbours"
TOKENIZER = "tokenizer.manifest.json"
COLUMNS = ("ids", "scores", "mask", "values")


@dataclass(frozen=True)
class Neighbours:
    """The K nearest pictures of each of T tokens, best first, and each token's own state.

    Attributes:
        ids: Picture ids, int32 [T, K]; -1 where nothing was found.
        scores: Of the search, the larger the better, float16 [T, K]; 0 where nothing was found.
        mask: bool [T, K]: False where nothing was found.
        values: Text states in the space of picture values, float16 [T, V]; V = 0 where none are kept.
    """

    ids: NDArray[np.int32]
    scores: NDArray[np.float16]
    mask: NDArray[np.bool_]
    values: NDArray[np.float16]

    @classmethod
    def open(cls, manifest: Path) -> Neighbours:
        """Map the tables of a split that ``find-neighbours`` wrote.

        Raises:
            IntegrityError: A table does not have a row for each token.
        """
        stated = read_manifest(manifest, KIND)
        tables = {}
        for column in COLUMNS:
            path = manifest.with_name(f"{stated.facts['split']}.{column}.npy")
            tables[column] = np.load(path, mmap_mode="r", allow_pickle=False)
            if len(tables[column]) != stated.rows:
                raise IntegrityError(
                    f"expected {stated.rows:,} rows, found {len(tables[column]):,}",
                    where=path,
                    cure=f"delete {manifest} and run the study again",
                )
        return cls(**tables)

    @classmethod
    def of(cls, states: States, searcher: Searcher, top_k: int, **search: Any) -> Neighbours:
        """Search for the pictures of some token states, in a way that ``Searcher.search`` knows."""
        ids, scores, mask = searcher.search(states.keys, top_k, **search)
        return cls(ids, scores.astype(np.float16), mask, states.values)


class StreamSearch:
    """Finds the pictures of tokens of a stream, by their positions.

    What a token gets follows from the stream and the preset, bit for bit: not from the other tokens that
    are asked for, from threads or from blocks. So a table and the loader of a training hold the same.

    Args:
        stream: The stream.
        encoder: Reads it.
        searcher: Searches.
        preset: How queries are formed, and whether a document finds the pictures that it came with.
        top_k: K.
    """

    def __init__(
        self, stream: TokenStream, encoder: Encoder, searcher: Searcher, preset: Preset, top_k: int
    ):
        self.stream, self.encoder, self.searcher = stream, encoder, searcher
        self._preset, self._top_k = preset, top_k
        self._texts = queried_texts(stream.documents, preset.query)

    def at(self, positions: NDArray[np.int64]) -> Neighbours:
        """The pictures of the tokens at some positions, [tokens].

        Raises:
            ConfigError: A query window is longer than the encoder can read.
        """
        query, own = self._preset.query, None
        if self._preset.exclude_same_document:
            own = Excluded(*self.stream.pictures_at(positions))
        states = states_at(
            self.encoder, self.stream.tokens, self._texts, positions, query, fixed_shapes=True
        )
        return Neighbours.of(states, self.searcher, self._top_k, excluded=own, fixed_shapes=True)


def look_up(
    texts: Sequence[Sequence[int]],
    encoder: Encoder,
    searcher: Searcher,
    query: Query,
    top_k: int,
    came_with: Mapping[int, Sequence[int]] = MappingProxyType({}),
) -> list[Neighbours]:
    """The pictures of every token of some texts, each a document of its own; one result a text.

    Equal texts that came with equal pictures are looked up once.

    With query windows the same text gets the same pictures as in a token stream, up to the rounding of
    a score (``states_at``); with chunks only if it begins an input of the model there, and its last
    input is whole.

    Args:
        texts: Token ids.
        query: How queries are formed.
        top_k: K.
        came_with: The pictures that a text came with and does not find, by its place among the texts.
    """
    asked = [(tuple(text), tuple(came_with.get(n, ()))) for n, text in enumerate(texts)]
    if not asked:
        return []
    distinct = list(dict.fromkeys(asked))
    documents = np.cumsum([0, *(len(text) for text, _ in distinct)])
    tokens = np.fromiter((token for text, _ in distinct for token in text), np.int64, documents[-1])
    pairs = [(n, own) for n, (_, pictures) in enumerate(distinct) for own in pictures]
    none = np.zeros(len(distinct), np.uint8)
    stream = TokenStream(tokens, documents, none, [], np.array(pairs, int).reshape(-1, 2).T)
    found, first = [], 0
    for states in token_states(encoder, tokens, inputs_of_texts(documents, query), query):
        own = stream.pictures_at(np.arange(first, first + len(states.keys)))
        found.append(Neighbours.of(states, searcher, top_k, excluded=Excluded(*own)))
        first += len(states.keys)
    columns = [np.concatenate([getattr(block, name) for block in found]) for name in COLUMNS]
    cut = zip(*(np.split(column, documents[1:-1]) for column in columns), strict=True)
    of_text = {text: Neighbours(*parts) for text, parts in zip(distinct, cut, strict=True)}
    return [of_text[text] for text in asked]


def find_neighbours(
    job: Job,
    *,
    split: str,
    tokens: Path,
    encoder: Path,
    vectors: Path,
    index: Path,
    output: Path,
) -> None:
    """Write ``<split>.{ids,scores,mask,values}.npy`` and their manifest.

    Args:
        split: train, valid or test.
        tokens: Manifest of the token streams.
        encoder: Manifest of the encoder.
        vectors: Manifest of the picture vectors.
        index: Manifest of the index that is searched.
        output: ``<split>.manifest.json``.

    Raises:
        ConfigError: A query window is longer than the encoder can read.
        IntegrityError: Index and vectors do not belong together.
        InputError: Encoder and tokens are of different vocabularies.
    """
    _check_vocabulary(encoder, tokens)
    (preset,) = job.value("retrieve.presets", list[Preset])
    top_k = job.value("retrieve.top_k", int)
    stream = TokenStream.open(tokens, split)
    rows = len(stream.tokens)
    search = StreamSearch(stream, load_encoder(encoder), Searcher(vectors, index), preset, top_k)
    value_width = search.encoder.value_width if preset.text_states else 0
    parents = [tokens, encoder, vectors, index]
    with job.work(parents) as work:
        table = GrowingTable(work, rows, layout(top_k, value_width))
        what, progress = f"finding neighbours of {split}", work / "progress.json"
        with Tracker(what, rows - table.done, "tokens", progress) as tracker:
            for first in range(table.done, rows, BLOCK_TOKENS):
                found = search.at(np.arange(first, min(first + BLOCK_TOKENS, rows)))
                table.append(**vars(found) | {"values": found.values[:, :value_width]})
                tracker.advance(len(found.ids))
        job.finish(
            output,
            kind=KIND,
            rows=rows,
            files=table.publish(output.parent, prefix=f"{split}."),
            parents=parents,
            facts={"preset": preset.name, "split": split, "top_k": top_k}
            | _coverage(Neighbours(**table.columns), search.searcher),
        )
        table.remove()


def _check_vocabulary(encoder: Path, tokens: Path) -> None:
    """Both state the tokenizer that they were made with, as a parent."""
    made_with = []
    for path in (encoder, tokens):
        parents = read_manifest(path).parents.items()
        made_with.append([digest for name, digest in parents if TOKENIZER in name])
    read, written = made_with
    if read and written and read != written:
        raise InputError(
            f"the encoder reads another vocabulary than {tokens} is written in",
            where=encoder,
            cure="name the encoder and the tokens of one study",
        )


def layout(top_k: int, value_width: int) -> dict[str, tuple[int, DTypeLike]]:
    """Width and dtype of the columns of ``Neighbours``."""
    return {
        "ids": (top_k, np.int32),
        "scores": (top_k, np.float16),
        "mask": (top_k, np.bool_),
        "values": (value_width, np.float16),
    }


def _coverage(found: Neighbours, searcher: Searcher) -> dict[str, Any]:
    """How many places were filled, and how many pictures of the index are anyone's neighbour."""
    filled, used = 0, np.zeros(searcher.table_rows, np.bool_)
    for first in range(0, len(found.ids), BLOCK_TOKENS):
        block = slice(first, first + BLOCK_TOKENS)
        mask = found.mask[block]
        filled += int(mask.sum())
        used[found.ids[block][mask]] = True
    return {
        "places_filled": filled,
        "pictures": searcher.pictures,
        "pictures_used": int(used.sum()),
    }
