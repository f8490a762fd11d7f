"""The paper's tables beside ours: every published number, true differences, and LaTeX that is no attack."""

import re

import polars as pl
import pytest
from builders.scores import Story, comparisons, scores

from valm.evaluate.scores.published import paper_values, published
from valm.report.links import without_links
from valm.report.tables.image_base import image_base_table
from valm.report.tables.layout import table
from valm.report.tables.paper import paper_table
from valm.report.words.comparisons import read_comparisons

STORY = Story()
SCORES = scores(STORY)
TESTED = read_comparisons(comparisons(STORY), SCORES)


@pytest.mark.parametrize("place", (2, 4, 5))
def test_every_published_number_of_the_table_is_there_and_no_other(place: int) -> None:
    shown = paper_table(place, SCORES, TESTED)
    known = {(c.task, c.metric, c.model): c.value for c in paper_values() if c.table == place}
    rows = shown.frame.filter(pl.col("published").is_not_null()).to_dicts()
    assert {(r["task"], r["metric"], r["model"]): r["published"] for r in rows} == known
    for (_, metric, _), value in known.items():
        assert (
            f">{value:.2f}<" in shown.html
            if metric == "perplexity"
            else f"{value:.2%}"[:-1] in shown.html
        )


def test_no_cell_of_the_papers_tables_is_missing() -> None:
    counts = [sum(c.table == place for c in paper_values()) for place in (2, 4, 5, 7)]
    assert counts == [32, 12, 9, 16]
    assert published()["memory_color", "accuracy", "valm"] == 0.5399
    assert published()["training", "relative_time", "valm_1m"] == 1.74


def test_a_row_holds_what_was_measured_its_distance_and_the_tested_lead() -> None:
    shown = paper_table(2, SCORES, TESTED)
    (row,) = shown.frame.filter(
        (pl.col("task") == "memory_color") & (pl.col("model") == "gpt2_star")
    ).to_dicts()
    legacy = SCORES.filter(
        (pl.col("task") == "memory_color") & (pl.col("definition") == "legacy")
        & (pl.col("model") == "gpt2_star") & (pl.col("seed") == -1)
    )["value"][0]  # fmt: skip
    assert row["legacy"] == legacy
    assert row["difference"] == pytest.approx(STORY.gains["gpt2_star:own"])
    cells = re.search(
        r"<tr>\s*<td[^>]*>GPT-2\*</td>(.*?)</tr>", without_links(shown.html), re.DOTALL
    )
    assert cells is not None
    texts = re.findall(r">([^<>]+)</td>", cells[1])
    assert texts[0] == "44.14"
    assert texts[2] == f"{100 * legacy - 44.14:+.1f}".replace("-", "\N{MINUS SIGN}")
    assert texts[4].endswith("*")


def test_a_star_stands_only_where_a_difference_is_shown() -> None:
    none = Story(gains=dict.fromkeys(STORY.gains, 0.0))
    open_scores = scores(none)
    tested = read_comparisons(comparisons(none), open_scores)
    assert "]*" not in paper_table(2, open_scores, tested).html
    assert "]*" in paper_table(2, SCORES, TESTED).html


def test_what_was_not_asked_and_what_was_not_measured_is_said() -> None:
    html = paper_table(2, SCORES, TESTED).html
    assert "ColorTerms · accuracy, % · not measured: its data could not be reached" in html
    assert "RelativeSize · accuracy, % · not asked in this study" in html
    assert "44.14" in paper_table(2, pl.DataFrame(), []).html


def test_table_7_holds_the_published_sizes_and_ours() -> None:
    shown = image_base_table(
        SCORES, {"valm": 2702, "valm_half": 1351}, {"valm": 1.72}, {"valm": 2.5}
    )
    rows = {row["model"]: row for row in shown.frame.tail(2).to_dicts()}
    assert shown.frame["pictures"].to_list() == [2 * 10**8, 10**8, 10**7, 10**6, 2702, 1351]
    assert shown.frame["time"].to_list() == [2.06, 1.91, 1.79, 1.74, 1.72, None]
    assert shown.frame["processor"].to_list() == [None] * 4 + [2.5, None]
    assert shown.frame["relative_size"].to_list()[:4] == [0.8503, 0.8184, 0.8215, 0.8235]
    assert rows["valm"]["memory_color"] == pytest.approx(STORY.valm)
    assert rows["valm_half"]["memory_color"] is None


def test_latex_reads_no_command_from_a_cell_or_a_caption() -> None:
    hostile = r"\input{/etc/passwd} 50% & $x_1$ #~^"
    latex = table("a", hostile, pl.DataFrame({"x": [hostile, "\N{MINUS SIGN}1"]})).latex
    assert r"\input" not in latex
    assert latex.count(r"\textbackslash{}input\{/etc/passwd\} 50\% \& \$x\_1\$") == 2
    assert "$-$1" in latex
    assert latex.isascii()
    assert latex.count(r"\begin{") == latex.count(r"\end{") == 2
