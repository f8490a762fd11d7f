"""Sweeps: models that differ in one thing are found from their manifests, and drawn over it."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from builders.results import write_results
from builders.scores import Story, scores

from valm.report.figures.style import model_colour, model_label
from valm.report.figures.sweeps import sweep_figure, sweep_table
from valm.report.results import Results
from valm.report.sweeps import Sweep, model_aspects, sweeps, swept_scores
from valm.report.words.comparisons import headline_rows

SAME = {"base": 2702, "layer": 3, "query": "window 48", "fusion": "joint", "rest": "{}"}


def aspects(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([SAME | {"top_k": 4} | row for row in rows])


def test_models_that_differ_in_one_thing_are_a_sweep_in_the_order_of_its_values() -> None:
    found = sweeps(
        aspects(
            {"model": "valm_k8", "top_k": 8},
            {"model": "valm_k1", "top_k": 1},
            {"model": "valm"},
        )
    )
    assert found == [Sweep("top_k", ("valm_k1", "valm", "valm_k8"), ("1", "4", "8"))]


def test_models_that_differ_in_two_things_are_none() -> None:
    both = aspects(
        {"model": "valm"}, {"model": "parity", "query": "chunks", "fusion": "joint, scale"}
    )
    assert sweeps(both) == []
    assert sweeps(aspects({"model": "valm"})) == []
    assert sweeps(pl.DataFrame(schema=both.schema)) == []


def test_what_is_no_aspect_parts_models_too() -> None:
    """A preset that also searches other keys is no sweep of its query."""
    raw = {"model": "parity", "query": "chunks", "rest": '{"keys":"raw"}'}
    assert sweeps(aspects({"model": "valm"}, raw)) == []


def test_values_that_are_words_are_in_the_order_of_their_numbers() -> None:
    queries = {"a": "window    48, stride    24", "b": "chunks", "c": "window     4, stride     2"}
    (found,) = sweeps(aspects(*({"model": m, "query": q} for m, q in queries.items())))
    assert found.values == ("chunks", "window 4, stride 2", "window 48, stride 24")
    assert not found.ordered


def test_two_things_that_differ_apart_are_two_sweeps() -> None:
    found = sweeps(
        aspects(
            {"model": "valm"},
            {"model": "valm_k1", "top_k": 1},
            {"model": "valm_half", "base": 1351},
            {"model": "valm_tenth", "base": 270},
        )
    )
    assert [(s.aspect, s.models) for s in found] == [
        ("top_k", ("valm_k1", "valm")),
        ("base", ("valm_tenth", "valm_half", "valm")),
    ]
    assert found[1].values == ("270", "1,351", "2,702")


@pytest.fixture(scope="module")
def swept() -> tuple[pl.DataFrame, Sweep]:
    measured = scores(Story())
    fewer = measured.filter(model="valm").with_columns(model=pl.lit("valm_k1"))
    sweep = Sweep("top_k", ("valm_k1", "valm"), ("1", "4"))
    return swept_scores(headline_rows(pl.concat([measured, fewer])), sweep, ["gpt2_star"]), sweep


def test_aspects_are_read_from_what_a_model_was_trained_with(tmp_path: Path) -> None:
    rows = model_aspects(Results(write_results(tmp_path)))
    (mine,) = rows.filter(model="valm").to_dicts()
    rest = json.loads(mine.pop("rest"))
    assert mine == {
        "model": "valm", "top_k": 4, "base": 23, "layer": 3, "query": "chunks", "fusion": "joint",
    }  # fmt: skip
    assert rest["factory"] == "Flat" and "objective" in rest
    assert "gpt2_star" not in rows["model"]


def test_the_table_holds_each_value_once_and_the_baseline_first(
    swept: tuple[pl.DataFrame, Sweep],
) -> None:
    rows, sweep = swept
    assert set(rows["model"]) == {"gpt2_star", "valm_k1", "valm"}
    assert set(rows["control"]) == {"own"}
    html = sweep_table(rows, sweep).html
    assert html.index("none") < html.index(">1<") < html.index(">4<")
    assert html.count("VaLM, K = 1") == 1
    assert "Pictures a token (K)" in html


def test_the_figure_is_the_same_bytes_again(swept: tuple[pl.DataFrame, Sweep]) -> None:
    rows, sweep = swept
    figure = sweep_figure(rows, sweep, ["gpt2_star"])
    assert figure == sweep_figure(rows, sweep, ["gpt2_star"])
    assert "pictures a token (K)" in figure.svg and figure.name == "sweep_top_k"


def test_long_values_stand_apart_and_kinds_are_not_joined_by_a_line(
    swept: tuple[pl.DataFrame, Sweep],
) -> None:
    rows, numbers = swept
    words = Sweep("query", numbers.models, ("window 48, stride 24", "chunks"))
    of_numbers, of_words = (sweep_figure(rows, each).svg for each in (numbers, words))
    slanted = re.findall(r'transform="[^"]*rotate\(-30\)[^"]*"[^>]*>\s*window 48', of_words)
    assert slanted and "rotate(-30)" not in of_numbers
    line = f"fill: none; stroke: {model_colour('valm')}; stroke-linecap: square"
    assert line in of_numbers and line not in of_words


def test_variants_are_named_after_what_they_are() -> None:
    names = ("valm_k8", "valm_windows16", "valm_chunks", "valm", "bert", "my_model")
    assert [model_label(name) for name in names] == [
        "VaLM, K = 8", "VaLM, windows 16", "VaLM, chunks", "VaLM", "BERT", "My model",
    ]  # fmt: skip
