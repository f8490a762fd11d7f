"""``valm compare``: settings that differ, and scores that are paired item by item."""

import json
from pathlib import Path

import polars as pl
import pytest
from builders.evaluation import finished_results
from typer.testing import CliRunner

from valm.cli.explain import changes
from valm.cli.main import app
from valm.core.atomic import write_text
from valm.core.manifest import Manifest
from valm.errors import InputError
from valm.evaluate.scores.compare import OTHER_ITEMS, compare_scores
from valm.report.pages.side_by_side import by_name, configuration_of, readable_changes, verdict_of


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_results(tmp_path_factory.mktemp("first"))


def changed(study: Path, target: Path, task: str, change: pl.Expr | None) -> Path:
    """A copy whose VaLM answers a task otherwise."""
    results = target / "results"
    for path in study.rglob("*"):
        if path.is_file():
            copy = results / path.relative_to(study)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    if change is not None:
        table = results / "evaluate" / "predictions" / "valm" / f"{task}.parquet"
        pl.read_parquet(table).with_columns(change).write_parquet(table)
    return results


def test_a_study_does_not_differ_from_itself(study: Path) -> None:
    scores = compare_scores(study, study)
    assert set(scores["task"]) == {"shape", "held_out_text"}
    assert set(scores["model"]) == {"gpt2_star", "valm"}
    assert scores["difference"].abs().max() == 0
    assert scores["p_holm"].min() == 1
    assert {verdict_of(row) for row in scores.to_dicts()} == {"no difference shown"}


def test_a_gain_is_said_of_the_study_that_has_it(study: Path, tmp_path: Path) -> None:
    """A candidate that is made certain: always right where the answer is the first one."""
    better = changed(study, tmp_path, "held_out_text", pl.col("nats") / 2)
    scores = compare_scores(better, study)
    valm = scores.filter(model="valm", task="held_out_text", metric="perplexity", control="own")
    assert {verdict_of(row) for row in valm.to_dicts()} == {"the first is better"}
    assert all(row["difference"] < 0 and row["high"] < 0 for row in valm.to_dicts())
    (row,) = valm.filter(definition="corrected").to_dicts()
    assert row["first"] == pytest.approx(row["second"] ** 0.5)
    others = scores.filter(pl.col("model") == "gpt2_star")
    assert {verdict_of(row) for row in others.to_dicts()} == {"no difference shown"}
    back = compare_scores(study, better).filter(model="valm", task="held_out_text", control="own")
    assert "the second is better" in {verdict_of(row) for row in back.to_dicts()}


def test_other_items_are_named_and_not_paired(study: Path, tmp_path: Path) -> None:
    renamed = pl.when(pl.col("item") == "").then(pl.lit("")).otherwise(pl.col("item") + "x")
    other = changed(study, tmp_path, "shape", renamed.alias("item"))
    rows = compare_scores(study, other).filter(model="valm", task="shape").to_dicts()
    assert rows and {row["note"] for row in rows} == {OTHER_ITEMS}
    assert all(row["p"] is None and verdict_of(row) == OTHER_ITEMS for row in rows)


def test_what_is_no_finished_study_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no finished study"):
        compare_scores(study, tmp_path)


def manifest(section: dict[str, object]) -> Manifest:
    return Manifest(
        kind="k", rows=1, producer="v", config_digest="c", code_digest="d",
        recipe={"section": section},
    )  # fmt: skip


def test_the_configuration_is_put_together_from_what_jobs_were_handed() -> None:
    jobs = {
        "a": manifest({"models.variants": [{"name": "gpt2_star", "pictures": "none"}], "seed": 1}),
        "b": manifest({"models.variants": [{"name": "valm", "pictures": "retrieved"}]}),
        "c": manifest({"evaluate.controls": ["zero"]}),
        "d": manifest({"evaluate.controls": []}),
    }
    assert configuration_of(jobs) == {
        "evaluate.controls": ["zero"],
        "models.variants": [
            {"name": "gpt2_star", "pictures": "none"},
            {"name": "valm", "pictures": "retrieved"},
        ],
        "seed": 1,
    }


def test_models_that_one_study_alone_has_do_not_hide_what_differs_in_the_others() -> None:
    small = {"models.variants": [{"name": "valm", "top_k": None}, {"name": "valm_random"}]}
    swept = {"models.variants": [{"name": "valm", "top_k": 4}, {"name": "valm_k1"}]}
    told = dict(changes(by_name(small), by_name(swept)))
    assert told["models.variants.valm.top_k"] == "null -> 4"
    assert told.keys() == {f"models.variants.{n}" for n in ("valm.top_k", "valm_random", "valm_k1")}


def test_the_command_prints_and_writes_a_page_that_loads_nothing(
    study: Path, tmp_path: Path
) -> None:
    other = changed(study, tmp_path / "<b>", "held_out_text", pl.col("nats") * 2)
    path = other / "evaluate/scores.manifest.json"
    found = json.loads(path.read_text())
    found["recipe"]["section"]["evaluate.statistics"]["confidence"] = 0.9
    write_text(path, json.dumps(found))
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    arguments = ["compare", str(study), str(other), "--html", str(page), "--csv", str(table)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "evaluate.statistics.confidence: 0.95 -> 0.9" in result.output
    assert "is better" in result.output and "no difference shown" not in result.output
    html = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in html and "<b>" not in html
    assert "0.95 -&gt; 0.9" in html
    assert len(pl.read_csv(table)) == len(compare_scores(study, other))
    assert len(readable_changes(compare_scores(study, other))) == len(pl.read_csv(table))


def test_the_default_study_is_not_taken_for_the_studies_in_its_folder(
    study: Path, tmp_path: Path
) -> None:
    default = changed(study, tmp_path, "held_out_text", None)
    other = changed(study, default / "studies/other", "held_out_text", None).rename(
        default / "studies/another"
    )
    path = other / "evaluate/scores.manifest.json"
    found = json.loads(path.read_text())
    found["recipe"]["section"]["evaluate.statistics"]["confidence"] = 0.9
    write_text(path, json.dumps(found))
    result = CliRunner().invoke(app, ["compare", str(default), str(other)])
    assert "evaluate.statistics.confidence: 0.95 -> 0.9" in result.output
