"""The pictures of a text that grows: looked up again is only what a longer text can change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from valm.config.retrieve import Query
from valm.embed.encoder import Encoder
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import COLUMNS, Neighbours
from valm.retrieve.queries import inputs_of_texts, states_at


class GrowingText:
    """One text, whose tokens come one after the other, with their pictures.

    With query windows a token's query is settled when the token is there. With chunks it is not: the
    cuts look ahead, so every token is looked up again.

    Args:
        query: How queries are formed.
        top_k: K.
    """

    def __init__(self, encoder: Encoder, searcher: Searcher, query: Query, top_k: int):
        self._encoder, self._searcher = encoder, searcher
        self._query, self._top_k = query, top_k
        self._found: Neighbours | None = None

    def pictures(self, tokens: Sequence[int]) -> Neighbours:
        """The pictures of every token.

        Args:
            tokens: The tokens of the last call, and any that have followed.
        """
        settled = None if self._query.scheme == "chunks" else self._found
        first = 0 if settled is None else len(settled.ids)
        ids, at = np.asarray(tokens, np.int64), np.arange(first, len(tokens))
        inputs = inputs_of_texts(np.array([0, len(tokens)]), self._query)
        states = states_at(self._encoder, ids, inputs, at, self._query)
        found = Neighbours.of(states, self._searcher, self._top_k)
        if settled is not None:
            pairs = ((getattr(settled, name), getattr(found, name)) for name in COLUMNS)
            found = Neighbours(*(np.concatenate(pair) for pair in pairs))
        self._found = found
        return found
