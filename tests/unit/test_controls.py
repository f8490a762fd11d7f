"""What each picture control gives, and that it gives it again."""

import numpy as np
import pytest

from valm.errors import ConfigError
from valm.retrieve.given import CONTROLS, give

ROWS, SEED = 50, 1
IDS = np.random.default_rng(0).integers(0, ROWS, (2000, 4)).astype(np.int32)
IDS[::10, 3] = -1
VALUES = np.random.default_rng(1).standard_normal((2000, 6)).astype(np.float16)


def test_retrieved_never_gives_minus_one_as_a_row() -> None:
    given = give("retrieved", IDS, VALUES, ROWS, SEED)
    assert given.ids is not None and given.values is None
    assert np.array_equal(given.mask, IDS >= 0)
    assert np.array_equal(given.ids[given.mask], IDS[IDS >= 0])
    assert given.ids.min() >= 0


def test_permuted_is_one_permutation_for_all_tokens() -> None:
    given = give("permuted", IDS, VALUES, ROWS, SEED)
    assert given.ids is not None
    pairs = set(zip(IDS[given.mask].tolist(), given.ids[given.mask].tolist(), strict=True))
    before, after = zip(*sorted(pairs), strict=True)
    assert list(before) == sorted(after) == list(range(ROWS))
    assert before != after
    assert np.array_equal(given.mask, IDS >= 0)


def test_random_is_uniform_and_fixed_by_position() -> None:
    given = give("random", IDS, VALUES, ROWS, SEED)
    again = give("random", IDS[:700], VALUES[:700], ROWS, SEED)
    assert given.ids is not None and again.ids is not None
    assert np.array_equal(again.ids, given.ids[:700])
    counts = np.bincount(given.ids.ravel(), minlength=ROWS)
    expected = given.ids.size / ROWS
    assert ((counts - expected) ** 2 / expected).sum() < 85  # chi-squared, 49 degrees: p = 0.001
    assert given.mask.all() and given.ids.dtype == np.int32


def test_text_state_is_the_token_s_own_value_as_one_picture() -> None:
    given = give("text_state", IDS, VALUES, ROWS, SEED)
    assert given.ids is None and given.values is not None
    assert given.mask.shape == (2000, 1) and given.mask.all()
    assert np.array_equal(given.values[:, 0], VALUES)
    assert np.shares_memory(given.values, VALUES)


def test_zero_is_seen_and_none_is_not() -> None:
    zero, none = (give(name, IDS, VALUES, ROWS, SEED) for name in ("zero", "none"))
    assert zero.values is not None and zero.values.shape == (2000, 4, 6)
    assert zero.mask.all() and not zero.values.any()
    assert not none.mask.any() and none.ids is None and none.values is None


@pytest.mark.parametrize("control", CONTROLS.names())
def test_the_same_seed_gives_the_same_and_shapes_follow_the_ids(control: str) -> None:
    ids, values = IDS.reshape(20, 100, 4), VALUES.reshape(20, 100, 6)
    first, second = (give(control, ids, values, ROWS, SEED) for _ in range(2))
    assert first.mask.shape[:2] == (20, 100) and first.mask.dtype == np.bool_
    for name in ("mask", "ids", "values"):
        one, other = getattr(first, name), getattr(second, name)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'permuted'"):
        give("permute", IDS, VALUES, ROWS, SEED)
