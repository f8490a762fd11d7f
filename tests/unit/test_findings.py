"""What the findings say: each verdict in its words, and never more than the intervals carry."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from valm.report.figures.findings import differences
from valm.report.words.comparisons import Comparison, Verdict
from valm.report.words.evidence import Evidence, Score, Setting
from valm.report.words.findings import Findings, findings

SETTING = Setting(
    trained_with={
        "gpt2_star": "none",
        "valm": "retrieved",
        "valm_random": "random",
        "valm_text_state": "text_state",
    },
    notes_share=0.11,
    pictures=4600,
)
OPPONENTS = {
    "none": ("gpt2_star", "own"),
    "random": ("valm_random", "own"),
    "text_state": ("valm_text_state", "own"),
    "permuted": ("valm", "permuted"),
}
NO_EVIDENCE = Evidence()
GAIN, OPEN, LOSS = 0.08, 0.01, -0.08
ALL_GAIN = dict.fromkeys(OPPONENTS, GAIN)


def compared(opponent: str, difference: float, task: str = "colour") -> Comparison:
    return Comparison(
        task=task, metric="accuracy", definition="corrected", unit="share",
        first=("valm", "own"), second=OPPONENTS[opponent],
        difference=difference, low=difference - 0.04, high=difference + 0.04,
        p_holm=0.001 if abs(difference) > 0.04 else 0.6, n=900, seeds=2,
    )  # fmt: skip


def said(
    differences: Mapping[str, float],
    *more: Comparison,
    setting: Setting = SETTING,
    legacy: Evidence = NO_EVIDENCE,
) -> Findings:
    rows = [compared(opponent, difference) for opponent, difference in differences.items()]
    scores = {
        ("colour", "valm", "own"): Score(0.29, 0.26, 0.32, majority=0.21),
        ("colour", "gpt2_star", "own"): Score(0.21, 0.18, 0.24, majority=0.21),
    }
    return findings(setting, Evidence([*rows, *more], scores), legacy)


def text(found: Findings) -> str:
    return " ".join([found.headline, *found.paragraphs]).replace("\N{NO-BREAK SPACE}", " ")


def test_help_is_claimed_only_against_all_controls() -> None:
    assert "neither random pictures nor the text state do the same" in said(ALL_GAIN).headline
    without_text_state = said({**ALL_GAIN, "text_state": OPEN}).headline
    assert "more than the text state is not shown" in without_text_state
    assert "the text state alone does better" in said({**ALL_GAIN, "text_state": LOSS}).headline
    for control in ("random", "permuted"):
        for outcome in (OPEN, LOSS):
            headline = said({**ALL_GAIN, control: outcome}).headline
            assert "that their content is the reason is not shown" in headline


def test_no_help_and_harm_are_said_as_plainly() -> None:
    assert (
        "does not show that looking at pictures helps" in said({**ALL_GAIN, "none": OPEN}).headline
    )
    assert "Pictures do not help" in said({**ALL_GAIN, "none": LOSS}).headline
    assert "a loss is shown" in text(said({**ALL_GAIN, "none": LOSS}))


def test_what_was_not_compared_is_unknown() -> None:
    found = said({"none": GAIN, "permuted": GAIN})
    assert "whether their content is the reason was not tested in full" in found.headline
    unsure = said({"none": GAIN, "permuted": OPEN})
    assert "that their content is the reason is not shown" in unsure.headline
    assert "No model trained on random pictures was compared" in text(found)
    assert "does not compare" in said({"random": GAIN}).headline
    assert "no comparison that could tell" in findings(SETTING, NO_EVIDENCE, NO_EVIDENCE).headline


@pytest.mark.parametrize(
    ("low", "high", "p", "higher_is_better", "verdict"),
    [
        (0.01, 0.09, 0.01, True, Verdict.GAIN),
        (0.01, 0.09, 0.01, False, Verdict.LOSS),
        (-0.09, -0.01, 0.01, True, Verdict.LOSS),
        (-0.09, -0.01, 0.01, False, Verdict.GAIN),
        (-0.01, 0.09, 0.01, True, Verdict.OPEN),
        (0.01, 0.09, 0.2, True, Verdict.OPEN),
        (0.0, 0.09, 0.01, True, Verdict.OPEN),
    ],
)
def test_verdict(
    low: float, high: float, p: float, higher_is_better: bool, verdict: Verdict
) -> None:
    c = replace(
        compared("none", 0.0), difference=(low + high) / 2, low=low, high=high, p_holm=p,
        higher_is_better=higher_is_better,
    )  # fmt: skip
    assert c.verdict is verdict


def test_an_interval_that_fails_the_corrected_test_is_not_called_zero() -> None:
    row = replace(compared("none", 0.05), p_holm=0.2)
    found = findings(SETTING, Evidence([row]), NO_EVIDENCE)
    assert "after correction for the number of tests no difference is shown" in text(found)


def test_the_study_is_called_what_it_is() -> None:
    assert "Colour notes make up 11.0 % of it" in text(said(ALL_GAIN))
    assert "olour notes" not in text(said(ALL_GAIN, setting=replace(SETTING, notes_share=0.0)))


def test_seen_sets_are_reported_as_seen_and_missing_ones_as_missing() -> None:
    found = said(ALL_GAIN, compared("none", GAIN, "memory_color"))
    assert "On MemoryColor the differences are +8.0 points [+4.0, +12.0] against GPT-2*" in text(
        found
    )
    assert "count as seen" in text(found)
    missing = said(ALL_GAIN, setting=replace(SETTING, unavailable={"color_terms": "no network"}))
    assert "ColorTerms was not measured: no network." in text(missing)
    assert "count as seen" not in text(missing)


def test_majority_is_compared_by_interval() -> None:
    rows = [compared("none", GAIN)]
    for low, high, words in (
        (0.25, 0.3, "exceeds"),
        (0.1, 0.2, "more than VaLM does"),
        (0.2, 0.3, "that VaLM does better [20.0, 30.0] is not shown"),
    ):
        scores = {("colour", "valm", "own"): Score((low + high) / 2, low, high, majority=0.22)}
        assert words in text(findings(SETTING, Evidence(rows, scores), NO_EVIDENCE))


def test_models_that_are_no_control_are_told_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPPONENTS, "one", ("valm_k1", "own"))
    monkeypatch.setitem(OPPONENTS, "two", ("valm_k2", "own"))
    several = text(said({**ALL_GAIN, "one": OPEN, "two": LOSS}))
    assert (
        "Beside other models the differences are +1.0 points [−3.0, +5.0] against VaLM, K = 1 (not shown)"
        " and −8.0 points [−12.0, −4.0] against VaLM, K = 2 (loss shown)." in several
    )
    assert "the difference is +1.0" in text(said({**ALL_GAIN, "one": OPEN}))
    assert "Beside other models" not in text(said(ALL_GAIN))


def test_colour_tests_that_disagree_are_no_help() -> None:
    assert "disagree" in said(ALL_GAIN, compared("none", LOSS, "memory_color")).headline
    assert "disagree" not in said(ALL_GAIN, compared("none", OPEN, "memory_color")).headline


def test_a_gain_over_one_opponent_does_not_hide_that_none_is_shown_over_the_other() -> None:
    rows = [compared("none", GAIN, "held_out_text"), compared("random", OPEN, "held_out_text")]
    paragraph = text(said(ALL_GAIN, *rows))
    assert "against GPT-2* (gain shown) and +1.0 points [−3.0, +5.0] against random" in paragraph
    assert "in training (not shown)." in paragraph
    rows = [compared("none", OPEN, "held_out_text"), compared("text_state", LOSS, "held_out_text")]
    assert "against the text state (loss shown)" in text(said(ALL_GAIN, *rows))


def test_beyond_colour_only_what_is_shown_gets_a_number() -> None:
    shape, size = compared("none", OPEN, "shape"), compared("none", LOSS, "size")
    paragraph = text(said(ALL_GAIN, shape, size))
    assert (
        "Beyond colour: relative size, −8.0 points [−12.0, −4.0] against GPT-2* (loss shown)."
        in paragraph
    )
    assert "On shape of things no difference to any of these opponents is shown" in paragraph


def test_the_official_metric_is_told_beside() -> None:
    row = replace(compared("none", OPEN), definition="legacy")
    scores = {("colour", "valm", "own"): Score(0.2, 0.1, 0.3, majority=0.23)}
    paragraph = text(said(ALL_GAIN, legacy=Evidence([row], scores)))
    assert (
        "By the official metric, uncalibrated, the difference to GPT-2* is +1.0 points" in paragraph
    )
    assert "VaLM scores 20.0 %, a constant answer 23.0 %." in paragraph


def test_a_study_without_colours_tells_of_its_other_tasks() -> None:
    found = findings(SETTING, Evidence([compared("none", OPEN, "shape")]), NO_EVIDENCE)
    assert "on colours" in found.headline
    assert "On shape of things no difference to any of these opponents is shown" in text(found)
    assert found.key == ()


def test_what_a_constant_answer_scores_is_told_of_every_task_not_only_where_it_flatters() -> None:
    tasks = {"colour": 0.22, "memory_color": 0.29, "shape": 0.2, "sentiment": 0.5}
    rows = [compared("none", GAIN, task) for task in tasks]
    scores = {
        (task, "valm", "own"): Score(0.3, 0.25, 0.35, majority=constant)
        for task, constant in tasks.items()
    }
    paragraphs = findings(SETTING, Evidence(rows, scores), NO_EVIDENCE).paragraphs
    seen = next(p for p in paragraphs if p.startswith("On MemoryColor"))
    assert "most frequent colour would score 29.0 %; that VaLM does better" in seen
    beyond = next(p for p in paragraphs if p.startswith("Beyond colour"))
    assert beyond.endswith("always giving the most frequent answer is not shown on sentiment.")


def test_a_pair_of_other_models_that_was_tested_is_told() -> None:
    other = replace(compared("none", OPEN), first=("valm_hundredth", "own"))
    told = text(said(ALL_GAIN, other))
    assert (
        "Between other models: VaLM, hundredth against GPT-2*, +1.0 points [−3.0, +5.0] (not shown)."
        in told
    )
    assert "Between other models" not in text(said(ALL_GAIN))


def test_the_figure_of_differences_names_a_model_that_the_others_are_not_about() -> None:
    rows = [compared("none", GAIN), compared("random", GAIN)]
    alone = differences(rows)
    assert "VaLM minus the other" in alone.svg and "named first" not in alone.caption
    other = replace(compared("none", OPEN), first=("valm_hundredth", "own"))
    both = differences([*rows, other])
    assert both.svg.count(">against GPT-2*<") == 1
    assert ">VaLM, hundredth against GPT-2*<" in both.svg
    assert "the first minus the other" in both.svg and "named first" in both.caption
