"""Appending text changes no earlier query, and neither does what stands before a document."""

import numpy as np
from builders.encoders import FakeEncoder
from builders.retrieval import random_documents

from valm.config.retrieve import Query
from valm.retrieve.queries import States, states_at

QUERY = Query(window_tokens=12, stride_tokens=5)


def states_of(documents: list[list[int]]) -> States:
    tokens, offsets = np.concatenate(documents), np.cumsum([0, *map(len, documents)])
    return states_at(FakeEncoder(), tokens, offsets, np.arange(len(tokens)), QUERY)


def test_every_prefix_of_a_text_has_the_text_s_own_states() -> None:
    (text,) = random_documents(1, longest=60, seed=3)
    text = (text * 60)[:60]
    whole = states_of([text])
    for length in range(1, len(text)):
        prefix = states_of([text[:length]])
        assert np.array_equal(prefix.values, whole.values[:length])
        assert np.allclose(prefix.keys, whole.keys[:length], atol=1e-6)


def test_other_endings_and_other_documents_leave_states_alone() -> None:
    text, ending, other = [1, 2, 3] * 9, [4] * 30, [7] * 17
    alone = states_of([text])
    among = states_of([other, text + ending, other])
    mine = slice(len(other), len(other) + len(text))
    assert np.array_equal(among.values[mine], alone.values)
    assert np.allclose(among.keys[mine], alone.keys, atol=1e-6)
