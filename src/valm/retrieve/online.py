"""Retrieval in the loader of a training, in place of a table of neighbours on the disk.

The pictures of a batch's tokens are found while those before are trained on, by the search that fills
the table (``StreamSearch``), so that both give the same bits. The tokens of several batches are searched
together: full batches of the encoder are what makes a search cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valm.config.retrieve import Preset
from valm.config.train import Train
from valm.core.job import Job
from valm.core.side_by_side import side_by_side
from valm.embed.encoder import Encoder, load_encoder
from valm.errors import ConfigError
from valm.ingest.text.tokens import TokenStream
from valm.retrieve.given import Given, give
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import Neighbours, StreamSearch
from valm.retrieve.queries import BLOCK_TOKENS
from valm.retrieve.showable import Showable

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class OnlineRetrieval:
    """What the pictures of tokens are found with.

    Attributes:
        tokens: Manifest of the token streams.
        encoder: Manifest of the encoder.
        vectors: Manifest of the picture vectors.
        index: Manifest of the index that is searched.
        preset: As in ``retrieve.presets``.
        top_k: K.
        processes: How many search side by side; one is a thread of the training.
    """

    tokens: Path
    encoder: Path
    vectors: Path
    index: Path
    preset: Preset
    top_k: int
    processes: int = 1

    @classmethod
    def of(
        cls, job: Job, tokens: Path, encoder: Path, vectors: Path, index: Path
    ) -> OnlineRetrieval:
        """The search of a training's preset.

        Raises:
            ConfigError: The preset of the model is not online.
        """
        if "retrieve.presets" not in job.section:
            raise ConfigError(
                "an encoder and an index were given, but the model's pictures lie in tables",
                where="retrieve.presets[].mode",
                cure="set it to online, or give --neighbours-train and --neighbours-valid",
            )
        (preset,) = job.value("retrieve.presets", list[Preset])
        top_k, train = job.value("retrieve.top_k", int), job.settings("train", Train)
        return cls(tokens, encoder, vectors, index, preset, top_k, train.retrieval_processes)

    @property
    def parents(self) -> list[Path]:
        """The manifests beside those of vectors and tokens."""
        return [self.encoder, self.index]

    def opened(self) -> tuple[Encoder, Searcher]:
        """What reads and what searches."""
        return load_encoder(self.encoder), Searcher(self.vectors, self.index)

    def given(
        self,
        split: str,
        asked: Iterable[Positions],
        control: str,
        shown: int | None,
        showable: Showable,
        seed: int,
    ) -> Iterator[tuple[Positions, Given]]:
        """What a picture control gives to tokens, batch by batch.

        Args:
            split: train, valid or test.
            asked: Positions in the stream of the tokens of each batch, of any shape; without end.
            control: Name of a control that reads what was retrieved.
            shown: How many of the K pictures it is handed; None: all.
            showable: The pictures that the control may draw.
            seed: The study's seed.

        Yields:
            The positions of a batch, and what its tokens are given, [..., K].
        """
        together = _together(asked)
        for batches, found in side_by_side(partial(_found, self, split), together, self.processes):
            all_given = give(control, found.ids[:, :shown], found.values, showable, seed)
            first = 0
            for positions in batches:
                rows = first + np.arange(positions.size).reshape(positions.shape)
                yield positions, all_given.at(rows)
                first += positions.size


def _together(asked: Iterable[Positions]) -> Iterator[list[Positions]]:
    """The batches of so many tokens as a block of the table has."""
    batches: list[Positions] = []
    for positions in asked:
        batches.append(positions)
        if sum(each.size for each in batches) >= BLOCK_TOKENS:
            yield batches
            batches = []
    if batches:
        yield batches


def _found(
    retrieval: OnlineRetrieval, split: str, batches: list[Positions]
) -> tuple[list[Positions], Neighbours]:
    """The pictures of all tokens of some batches, one after the other."""
    positions = np.concatenate([each.ravel() for each in batches])
    return batches, _search(retrieval, split).at(positions)


@cache
def _search(retrieval: OnlineRetrieval, split: str) -> StreamSearch:
    """A process's search of a split."""
    stream = TokenStream.open(retrieval.tokens, split)
    return StreamSearch(stream, *_opened(retrieval), retrieval.preset, retrieval.top_k)


@cache
def _opened(retrieval: OnlineRetrieval) -> tuple[Encoder, Searcher]:
    return retrieval.opened()
