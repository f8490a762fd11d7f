"""Every token's state comes from the window with its longest past, each content encoded once."""

import numpy as np
import pytest
from builders.encoders import FakeEncoder
from builders.retrieval import random_documents
from hypothesis import given
from hypothesis import strategies as st

from valm.config.retrieve import Query
from valm.config.study import parse_study
from valm.errors import ConfigError
from valm.retrieve.queries import States, states_at, token_states, windows


def stream(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(documents).astype(np.uint16), np.cumsum([0, *map(len, documents)])


def longest_past(position: int, query: Query) -> int:
    """By definition: over all window starts, the past of a position in a window that holds it."""
    starts = range(0, position + 1, query.stride_tokens)
    return max(position - s for s in starts if position - s < query.window_tokens)


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    window=st.integers(2, 12),
    stride=st.integers(1, 12),
)
def test_window_gives_the_longest_past(lengths: list[int], window: int, stride: int) -> None:
    query = Query(window_tokens=window, stride_tokens=min(stride, window))
    documents = np.cumsum([0, *lengths])
    cut = windows(documents, np.arange(documents[-1]), query)
    positions = np.concatenate([np.arange(length) for length in lengths])
    assert cut.offset.tolist() == [longest_past(p, query) for p in positions]
    assert np.array_equal(cut.start[cut.of_token] + cut.offset, np.arange(documents[-1]))
    assert cut.length.max() <= window


def test_states_are_those_of_each_window_alone() -> None:
    """Packing windows into padded batches mixes nothing up."""
    documents = random_documents(60, longest=150)
    tokens, offsets = stream(documents)
    query = Query(window_tokens=20, stride_tokens=7)
    states = states_at(FakeEncoder(), tokens, offsets, np.arange(len(tokens)), query)
    position = np.concatenate([np.arange(len(document)) for document in documents])
    past = np.array([longest_past(p, query) for p in position])
    sums = [int(tokens[t - past[t] : t + 1].sum(dtype=int)) % 1000 for t in range(len(tokens))]
    assert np.array_equal(states.values, np.stack([past, tokens, sums], axis=1))
    assert np.allclose(np.linalg.norm(states.keys, axis=1), 1, atol=1e-6)


def test_blocks_and_single_positions_give_the_same_states() -> None:
    tokens, offsets = stream(random_documents(40, longest=90))
    query = Query(window_tokens=16, stride_tokens=8)
    blocks = list(token_states(FakeEncoder(), tokens, offsets, query, block_tokens=100))
    keys = np.concatenate([block.keys for block in blocks])
    assert len(keys) == len(tokens) and max(len(block.keys) for block in blocks) == 100
    at = np.random.default_rng(0).permutation(len(tokens))[:200]
    assert np.allclose(
        states_at(FakeEncoder(), tokens, offsets, at, query).keys, keys[at], atol=1e-6
    )


def test_equal_windows_are_encoded_once_and_short_ones_are_hardly_padded() -> None:
    encoder = FakeEncoder()
    documents = [[5, 6, 7], [8, 9]] * 500 + random_documents(2000, longest=48)
    tokens, offsets = stream(documents)
    states_at(encoder, tokens, offsets, np.arange(len(tokens)), Query())
    distinct = {tuple(document) for document in documents}
    assert encoder.windows == len(distinct)
    assert encoder.padded_tokens < 1.2 * sum(map(len, distinct))


def test_nothing_asked_nothing_encoded() -> None:
    encoder = FakeEncoder()
    states: States = states_at(
        encoder, np.zeros(0, int), np.zeros(1, int), np.zeros(0, int), Query()
    )
    assert states.keys.shape == (0, 16) and encoder.windows == 0


def test_windows_longer_than_the_encoder_reads_are_refused() -> None:
    tokens, offsets = stream([[1, 2, 3]])
    with pytest.raises(ConfigError, match=r"query\.window_tokens.*at most 64"):
        states_at(FakeEncoder(), tokens, offsets, np.arange(3), Query(window_tokens=65))


def test_strides_that_leave_tokens_without_a_window_are_refused() -> None:
    with pytest.raises(ConfigError, match="would have no query"):
        parse_study(
            {
                "retrieve": {
                    "presets": [
                        {"name": "fixed", "query": {"window_tokens": 8, "stride_tokens": 9}}
                    ]
                }
            }
        )
