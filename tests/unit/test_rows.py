"""Texts in rows: all of each text, what they begin with once, and nothing of other texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valm.evaluate.answers import rows
from valm.evaluate.answers.rows import Batch, Text, batches, lay_out


def texts_of(read: list[list[int]], asked: list[int]) -> tuple[np.ndarray, list[Text]]:
    """Texts end to end, each asked for its last so many tokens."""
    starts = np.cumsum([0, *map(len, read)])
    texts = [
        Text(int(start), len(one), min(count, len(one)))
        for start, one, count in zip(starts, read, asked, strict=False)
    ]
    return np.array([token for one in read for token in one], np.int64), texts


def path(batch: Batch, row: int, place: int) -> list[int]:
    """Places, among all tokens, of the text that ends somewhere in a row."""
    found = []
    while place >= 0:
        found.append(int(batch.places[row, place]))
        place = int(batch.parents[row, place])
    return found[::-1]


SOME_TEXTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=25)


@settings(max_examples=150)
@given(
    read=SOME_TEXTS,
    asked=st.lists(st.integers(1, 4), min_size=25, max_size=25),
    branching=st.booleans(),
    sizes=st.sampled_from([(1, 1, 1), (12, 7, 5), (20, 100, 3), (500, 1000, 1000)]),
)
def test_each_asked_token_stands_behind_all_of_its_text(
    read: list[list[int]], asked: list[int], branching: bool, sizes: tuple[int, int, int]
) -> None:
    tokens, texts = texts_of(read, asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ROW_TOKENS", sizes[0])
        laid = list(lay_out(texts, tokens, branching))
    answered = []
    for batch in batches(laid, *sizes[1:]):
        chain = np.arange(batch.parents.shape[1]) - 1
        assert branching or batch.plain
        if batch.plain:
            assert all(set(row[row != chain]) <= {-1} for row in batch.parents)
            assert (
                batch.parents[batch.asked[:, 0], batch.asked[:, 1]] + 1 == batch.asked[:, 1]
            ).all()
        assert len(np.unique(batch.asked, axis=0)) == len(batch.asked)
        assert len(batch.places) == 1 or batch.places.size <= sizes[1]
        assert len(batch.places) == 1 or len(batch.asked) <= sizes[2]
        for text, step, answer in zip(batch.texts, batch.steps, batch.answers, strict=True):
            one = texts[text]
            end = one.start + one.length - one.asked + step + 1
            stands = path(batch, *batch.asked[answer])
            assert tokens[stands].tolist() == tokens[one.start : end].tolist()
            answered.append((int(text), int(step)))
    assert sorted(answered) == [
        (n, step) for n, text in enumerate(texts) for step in range(text.asked)
    ]


@settings(max_examples=50)
@given(SOME_TEXTS)
def test_a_row_holds_what_its_texts_begin_with_once(read: list[list[int]]) -> None:
    tokens, texts = texts_of(read, [1] * len(read))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ROW_TOKENS", 10_000)
        (row,) = lay_out(texts, tokens, branching=True)
    beginnings = {tuple(one[: n + 1]) for one in read for n in range(len(one))}
    assert len(row.places) == len(beginnings)


def test_equal_tokens_that_see_other_things_are_not_shared() -> None:
    tokens, texts = texts_of([[1, 2, 3], [1, 2, 4]], [1, 1])
    (alike,) = lay_out(texts, tokens, branching=True)
    (apart,) = lay_out(texts, np.array([1, 2, 3, 1, 9, 4]), branching=True)
    assert (len(alike.places), len(apart.places)) == (4, 5)


def test_a_long_text_serves_its_continuations_and_none_that_differ() -> None:
    """A row may be longer than its usual bound only for what is mostly shared."""
    long = list(range(1000))
    tokens, texts = texts_of([[*long, n] for n in range(2000, 2020)], [1] * 20)
    (row,) = lay_out(texts, tokens, branching=True)
    assert len(row.places) == 1020
    tokens, texts = texts_of([long, [5000, *long]], [1, 1])
    assert [len(row.places) for row in lay_out(texts, tokens, branching=True)] == [1000, 1001]
