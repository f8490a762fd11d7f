"""What each picture control gives, and that it gives it again."""

import numpy as np
import pytest

from valm.errors import ConfigError
from valm.retrieve.given import CONTROLS, draws, give
from valm.retrieve.showable import Showable

ROWS, SEED = 50, 1
IDS = np.random.default_rng(0).integers(0, ROWS, (2000, 4)).astype(np.int32)
IDS[::10, 3] = -1
VALUES = np.random.default_rng(1).standard_normal((2000, 6)).astype(np.float16)


def test_retrieved_never_gives_minus_one_as_a_row() -> None:
    given = give("retrieved", IDS, VALUES, Showable(ROWS), SEED)
    assert given.ids is not None and given.values is None
    assert np.array_equal(given.mask, IDS >= 0)
    assert np.array_equal(given.ids[given.mask], IDS[IDS >= 0])
    assert given.ids.min() >= 0


def test_permuted_is_one_permutation_for_all_tokens() -> None:
    given = give("permuted", IDS, VALUES, Showable(ROWS), SEED)
    assert given.ids is not None
    pairs = set(zip(IDS[given.mask].tolist(), given.ids[given.mask].tolist(), strict=True))
    before, after = zip(*sorted(pairs), strict=True)
    assert list(before) == sorted(after) == list(range(ROWS))
    assert before != after
    assert np.array_equal(given.mask, IDS >= 0)


def test_random_is_uniform_and_fixed_by_position() -> None:
    given = give("random", IDS, VALUES, Showable(ROWS), SEED)
    again = give("random", IDS[:700], VALUES[:700], Showable(ROWS), SEED)
    assert given.ids is not None and again.ids is not None
    assert np.array_equal(again.ids, given.ids[:700])
    counts = np.bincount(given.ids.ravel(), minlength=ROWS)
    expected = given.ids.size / ROWS
    assert ((counts - expected) ** 2 / expected).sum() < 85  # chi-squared, 49 degrees: p = 0.001
    assert given.mask.all() and given.ids.dtype == np.int32


def test_text_state_is_the_token_s_own_value_as_one_picture() -> None:
    given = give("text_state", IDS, VALUES, Showable(ROWS), SEED)
    assert given.ids is None and given.values is not None
    assert given.mask.shape == (2000, 1) and given.mask.all()
    assert np.array_equal(given.values[:, 0], VALUES)
    assert np.shares_memory(given.values, VALUES)


def test_zero_is_seen_and_none_is_not() -> None:
    zero, none = (give(name, IDS, VALUES, Showable(ROWS), SEED) for name in ("zero", "none"))
    assert zero.values is not None and zero.values.shape == (2000, 4, 6)
    assert zero.mask.all() and not zero.values.any()
    assert not none.mask.any() and none.ids is None and none.values is None


@pytest.mark.parametrize("control", CONTROLS.names())
def test_the_same_seed_gives_the_same_and_shapes_follow_the_ids(control: str) -> None:
    ids, values = IDS.reshape(20, 100, 4), VALUES.reshape(20, 100, 6)
    first, second = (give(control, ids, values, Showable(ROWS), SEED) for _ in range(2))
    assert first.mask.shape[:2] == (20, 100) and first.mask.dtype == np.bool_
    for name in ("mask", "ids", "values"):
        one, other = getattr(first, name), getattr(second, name)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'permuted'"):
        give("permute", IDS, VALUES, Showable(ROWS), SEED)


def test_what_was_taken_down_is_never_drawn_and_all_else_is() -> None:
    gone = np.array([0, 7, 8, ROWS - 1])
    kept = np.setdiff1d(np.arange(ROWS), gone)
    showable = Showable(ROWS, gone)
    assert len(showable) == len(kept)
    assert np.array_equal(showable.rows(np.arange(len(kept))), kept)
    assert np.array_equal(showable.places(kept), np.arange(len(kept)))
    found = np.where(np.isin(IDS, gone), -1, IDS)  # an index holds none of them
    for control in filter(draws, CONTROLS.names()):
        given = give(control, found, VALUES, showable, SEED)
        assert given.ids is not None and given.ids.dtype == np.int32
        assert np.array_equal(np.unique(given.ids), kept)
    before, after = (
        ids[found >= 0] for ids in (found, give("permuted", found, VALUES, showable, SEED).ids)
    )
    assert len(np.unique(np.stack([before, after]), axis=1).T) == len(kept)


@pytest.mark.parametrize("control", CONTROLS.names())
def test_a_control_that_draws_nothing_needs_no_list_of_what_was_taken_down(control: str) -> None:
    found = np.where(IDS == 7, -1, IDS)
    with_all, without = (
        give(control, found, VALUES, Showable(ROWS, np.array(gone, np.int64)), SEED)
        for gone in ([], [7])
    )
    pairs = ((getattr(with_all, n), getattr(without, n)) for n in ("mask", "ids", "values"))
    same = all(one is other is None or np.array_equal(one, other) for one, other in pairs)
    assert same != draws(control)
