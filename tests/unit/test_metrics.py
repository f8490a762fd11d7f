"""Every scorer on items small enough to be counted by hand, and on answers that never vary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from valm.evaluate.scores.metrics import (
    AS_IT_IS,
    LARGER_FIRST,
    PER_PROMPT,
    SCORERS,
    Baselines,
    answers_of,
)

COLOURS = 3


def answers(*rows: tuple[str, str, int, str, Sequence[float]]) -> pl.DataFrame:
    """Item, prompt, right answer (-1: content-free), part and log-probabilities of each question."""
    return pl.DataFrame(
        [
            {"item": item, "prompt": prompt, "answer": answer, "part": part}
            | {f"choice_{place}": float(value) for place, value in enumerate(values)}
            for item, prompt, answer, part, values in rows
        ]
    )


# Right by prompt "p" and "q": banana yes no, plum yes yes, coal no no. A model that likes answer 0.
THREE_ITEMS = answers(
    ("banana", "p", 0, "", [-1, -2, -3]),
    ("banana", "q", 0, "", [-2, -1, -3]),
    ("plum", "p", 1, "", [-2, -1, -3]),
    ("plum", "q", 1, "", [-3, -1, -2]),
    ("coal", "p", 0, "", [-2, -3, -1]),
    ("coal", "q", 0, "", [-3, -2, -1]),
)
# The prior of each prompt, in two content-free questions whose mean is (-1, -1, -4) for "p".
PRIOR = answers(
    ("", "p", -1, "", [-0.5, -1, -4]),
    ("", "p", -1, "", [-1.5, -1, -4]),
    ("", "q", -1, "", [-1, -1, -1]),
)


def test_raw_accuracy_is_the_micro_average() -> None:
    scores, baselines = SCORERS["raw"](THREE_ITEMS, "")
    assert scores.items == ("banana", "plum", "coal")
    np.testing.assert_allclose(scores.numerators / scores.denominators, [0.5, 1.0, 0.0])
    assert scores.value == pytest.approx(3 / 6)
    assert baselines == Baselines(chance=1 / 3, majority=2 / 3)


def test_calibration_subtracts_the_mean_prior_of_the_same_prompt() -> None:
    # "p" minus (-1, -1, -4): banana (0, -1, 1), plum (-1, 0, 1), coal (-1, -2, 3): all say 2.
    # "q" is calibrated by a constant: nothing changes.
    scores, _ = SCORERS["calibrated"](pl.concat([PRIOR, THREE_ITEMS]), "")
    np.testing.assert_allclose(scores.numerators, [0.0, 0.5, 0.0])


def test_balanced_accuracy_averages_over_classes() -> None:
    frame = pl.concat(
        [PRIOR.with_columns(choice_0=-1.0, choice_1=-1.0, choice_2=-1.0), THREE_ITEMS]
    )
    scores, baselines = SCORERS["balanced"](frame, "")
    # Class 0 holds banana (1/2) and coal (0), class 1 holds plum (1).
    assert scores.value == pytest.approx((0.25 + 1.0) / 2)
    assert baselines == Baselines(chance=1 / 3, majority=1 / 2)


def test_macro_f1_by_hand() -> None:
    # Right answers 0 1 0 twice each; said 0 1, 1 1, 2 1: of class 0 one of 4 is found by one answer,
    # of class 1 both by four; class 2 is nobody's right answer.
    prior = PRIOR.with_columns(choice_0=0.0, choice_1=0.0, choice_2=0.0)
    scores, baselines = SCORERS["macro_f1"](pl.concat([prior, THREE_ITEMS]), "")
    said = SCORERS["raw"](THREE_ITEMS, "")[0]
    assert said.value == pytest.approx(3 / 6)
    f1 = 2 * 1 / (4 + 1), 2 * 2 / (2 + 3)
    assert scores.value == pytest.approx(np.mean(f1))
    assert baselines.majority == pytest.approx(
        2 * 2 / (2 + 3) / 2
    )  # always 0: found 2 of 2, said 3


def test_published_scores_compare_first_tokens_and_ours_whole_labels() -> None:
    firsts = {f"first_piece_{place}": pl.lit(float(place == 2)) for place in range(COLOURS)}
    frame = THREE_ITEMS.with_columns(**firsts)
    assert SCORERS["raw"](frame, "")[0].value == 0.0  # always 2
    assert SCORERS["full_label"](frame, "")[0].value == SCORERS["raw"](THREE_ITEMS, "")[0].value


def test_a_part_is_scored_alone() -> None:
    other = THREE_ITEMS.with_columns(part=pl.lit("dev"), choice_0=0.0)
    frame = pl.concat([THREE_ITEMS, other])
    assert SCORERS["raw"](frame, "")[0].value == pytest.approx(3 / 6)
    assert SCORERS["raw"](frame, "dev")[0].value == pytest.approx(4 / 6)


@pytest.mark.parametrize("answer", range(COLOURS))
def test_a_constant_answer_scores_what_the_majority_row_says_at_most(answer: int) -> None:
    values = {f"choice_{place}": float(place == answer) for place in range(COLOURS)}
    prior = PRIOR.with_columns(choice_0=0.0, choice_1=0.0, choice_2=0.0)
    frame = pl.concat(
        [prior, THREE_ITEMS.with_columns(**{k: pl.lit(v) for k, v in values.items()})]
    )
    for name in ("raw", "calibrated", "balanced"):
        scores, baselines = SCORERS[name](frame, "")
        best = {0: baselines.majority, 1: {"balanced": 1 / 2}.get(name, 1 / 3), 2: 0.0}
        assert scores.value == pytest.approx(best[answer]), name


# --- size ----------------------------------------------------------------------------------------

PAIRS = ("ant / mouse", "cat / dog", "pea / sun")


def orders(yes: Sequence[tuple[bool, bool]]) -> pl.DataFrame:
    """Whether each pair is answered yes with the larger first, and with the smaller first."""
    rows = []
    for pair, (larger_first, smaller_first) in zip(PAIRS, yes, strict=True):
        for part, answer, said in (
            ("larger_first", 0, larger_first),
            ("smaller_first", 1, smaller_first),
        ):
            rows.append((pair, "p", answer, part, [-1, -2] if said else [-2, -1]))
    return answers(*rows)


def test_always_yes_scores_everything_on_the_legacy_size_metric_and_half_on_ours() -> None:
    frame = orders([(True, True)] * 3)
    for name, value in (("raw", 1.0), ("both_orders", 0.5), ("pair_consistency", 0.0)):
        scores, baselines = SCORERS[name](frame, LARGER_FIRST)
        assert scores.value == value == baselines.majority
    never = orders([(False, False)] * 3)
    assert SCORERS["raw"](never, LARGER_FIRST)[0].value == 0.0
    assert SCORERS["both_orders"](never, "")[0].value == 0.5


def test_size_metrics_by_hand() -> None:
    # Both orders right, yes to both, both wrong.
    frame = orders([(True, False), (True, True), (False, True)])
    assert SCORERS["raw"](frame, LARGER_FIRST)[0].value == pytest.approx(2 / 3)
    assert SCORERS["both_orders"](frame, "")[0].value == pytest.approx((2 + 1 + 0) / 6)
    assert SCORERS["pair_consistency"](frame, "")[0].value == pytest.approx(1 / 3)


@pytest.mark.parametrize("scorer", PER_PROMPT)
def test_a_score_is_the_mean_of_its_prompts(scorer: str) -> None:
    frame = pl.concat([orders([(True, False), (True, True), (False, True)]),
                       orders([(True, True), (True, False), (True, False)]).with_columns(prompt=pl.lit("q"))])  # fmt: skip
    part = LARGER_FIRST if scorer in ("raw", "full_label", "calibrated") else ""
    shares = PER_PROMPT[scorer](frame, part)
    assert shares.prompts == ("p", "q") and shares.items == PAIRS
    assert shares.values.mean() == pytest.approx(SCORERS[scorer](frame, part)[0].value)
    assert len(set(shares.values.mean(axis=0))) == 2


# --- text ----------------------------------------------------------------------------------------


def passages() -> pl.DataFrame:
    """Three passages; nats of the sliding context are half of those of blocks scored alone."""
    alone = pl.DataFrame(
        {
            "item": ["0", "1", "2"],
            "part": ["", "", "notes"],
            "context": ["alone"] * 3,
            "words": [2, 3, 1],
            "tokens": [4, 6, 2],
            "nats": [8.0, 2.0, 99.0],
            "last_piece": [True, False, True],
            "whole_word": [True, False, True],
        }
    )
    sliding = alone.with_columns(
        context=pl.lit("sliding"),
        nats=pl.col("nats") / 2,
        last_piece=pl.Series([True, True, False]),
        whole_word=pl.Series([False, True, False]),
    )
    return pl.concat([alone, sliding])


def test_lines_longer_than_the_official_context_are_left_out_as_published() -> None:
    frame = passages().with_columns(
        item=pl.lit("article"), part=pl.lit(""), tokens=pl.Series([512, 513, 2] * 2)
    )
    assert SCORERS["line_perplexity"](frame, "")[0].value == pytest.approx(np.exp((8 + 99) / 514))
    assert SCORERS["token_perplexity"](frame, "")[0].value == pytest.approx(np.exp(109 / 1027))


def test_passages_of_one_item_are_added_up() -> None:
    frame = passages().with_columns(item=pl.lit("article"))
    scores, _ = SCORERS["token_perplexity"](frame, "")
    assert scores.items == ("article",)
    assert scores.value == pytest.approx(np.exp((8 + 2) / (4 + 6)))


@pytest.mark.parametrize(
    ("scorer", "value"),
    [
        ("token_perplexity", np.exp((8 + 2) / (4 + 6))),
        ("line_perplexity", np.exp((8 + 2) / (4 + 6))),
        ("word_perplexity", np.exp((4 + 1) / (2 + 3))),
        ("last_piece", 1.0),
        ("whole_word", 0.5),
    ],
)
def test_text_metrics_by_hand(scorer: str, value: float) -> None:
    scores, _ = SCORERS[scorer](passages(), "")
    assert scores.items == ("0", "1")
    assert scores.value == pytest.approx(value)


def test_prompts_are_columns_and_items_rows() -> None:
    found = answers_of(THREE_ITEMS, "", AS_IT_IS)
    assert found.prompts == ("p", "q")
    np.testing.assert_array_equal(found.right, [[True, False], [True, True], [False, False]])
