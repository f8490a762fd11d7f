"""An ablation: its parts, what each change is found to do, and the page that shows it."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from builders.evaluation import finished_results

from valm.cli.ablation import changes_of, parts_of
from valm.config.study import Study, load_study, parse_study
from valm.core.job import Job
from valm.core.manifest import verify_files
from valm.errors import ConfigError, InputError
from valm.evaluate.scores.changes import Part, score_changes
from valm.report.pages.changes import headline_shares, write_changes

ROOT = Path(__file__).parents[2]
STATISTICS = {"bootstrap_samples": 200, "confidence": 0.95, "comparisons": []}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_results(tmp_path_factory.mktemp("made"))


@pytest.fixture
def parts(made: Path, tmp_path: Path) -> list[Part]:
    """The recipe, and a change with which VaLM is always right; two seeds of each."""
    found = []
    for change in ("recipe", "better"):
        for seed in (1, 2):
            results = shutil.copytree(made, tmp_path / f"{change}_{seed}")
            for table in (results / "evaluate/predictions").rglob("shape.parquet"):
                answers = pl.read_parquet(table).filter(pl.col("seed") == 1)
                if change == "better" and table.parent.name == "valm":
                    choices = [c for c in answers.columns if c.startswith("choice_")]
                    answers = answers.with_columns(
                        pl.when(pl.col("answer") == place).then(0.0).otherwise(-50.0).alias(name)
                        for place, name in enumerate(choices)
                    )
                answers.write_parquet(table)
            found.append(Part(change, seed, results / "evaluate/scores.manifest.json"))
    return found


def scored(parts: list[Part], folder: Path) -> Path:
    output = folder / "evaluate/changes.manifest.json"
    job = Job("score-changes", {"evaluate.statistics": STATISTICS, "seed": 1}, "c0de")
    score_changes(job, parts=parts, output=output)
    verify_files(output)
    return output


def test_a_change_is_measured_against_the_recipe_and_against_no_pictures(
    parts: list[Part], tmp_path: Path
) -> None:
    output = scored(parts, tmp_path)
    scores, tested = (
        headline_shares(pl.read_parquet(output.with_name(f"change_{name}.parquet")))
        for name in ("scores", "differences")
    )
    pooled = {(r["change"], r["model"]): r for r in scores.filter(seed=-1).to_dicts()}
    assert pooled["better", "valm"]["value"] == 1
    assert pooled["better", "gpt2_star"]["value"] == pooled["recipe", "gpt2_star"]["value"]
    assert sorted(scores.filter(change="better", model="valm")["seed"]) == [-1, 1, 2]
    rows = {(r["change"], r["against"]): r for r in tested.to_dicts()}
    assert set(rows) == {("recipe", "gpt2_star"), ("better", "gpt2_star"), ("better", "recipe")}
    gain = rows["better", "recipe"]
    assert gain["difference"] == pytest.approx(1 - pooled["recipe", "valm"]["value"])
    assert gain["p"] < gain["p_holm"] < 0.01 and gain["seeds"] == 2
    assert gain["n"] == pooled["recipe", "valm"]["n"]


def test_a_part_without_answers_is_named(parts: list[Part], tmp_path: Path) -> None:
    for file in (parts[-1].scores.parent / "predictions/valm").glob("shape.*"):
        file.unlink()
    with pytest.raises(InputError, match="no answers of valm to shape"):
        scored(parts, tmp_path)


def test_the_page_has_one_table_and_one_figure_and_the_same_bytes_again(
    parts: list[Part], tmp_path: Path
) -> None:
    output = scored(parts, tmp_path)
    better = tmp_path / "better.yaml"
    better.write_text("embed: {encoder: {params: {values: {colour_share: 0.0}}}}")
    pages = []
    for name in ("one", "two"):
        page = tmp_path / name / "changes.manifest.json"
        job = Job("write-changes", {"study": "ablation_<small>"}, "c0de")
        write_changes(job, scores=output, settings=[better], output=page)
        verify_files(page)
        pages.append({f.name: f.read_bytes() for f in page.parent.iterdir()})
    assert pages[0] == pages[1]
    assert set(pages[0]) == {f"changes.{k}" for k in ("html", "csv", "tex", "svg", "manifest.json")}
    html = pages[0]["changes.html"].decode()
    assert "embed.encoder.params.values.colour_share: 0.0" in html
    assert html.count("<svg") == html.count("<table") == 1
    assert "ablation_&lt;small&gt;" in html and "<small>" not in html
    assert "100.0" in html


def test_parts_are_the_recipe_and_each_change_with_each_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    files = [Path("config.yaml"), Path("config/studies/ablation_small.yaml")]
    study = load_study(files)
    parts = parts_of(study, study.model_dump(mode="json"))
    changes = ["recipe", *(Path(file).stem for file in changes_of(study))]
    assert {"no_colours", "not_standardised", "notes_0", "notes_2", "natural_text"} < set(changes)
    assert list(parts) == [f"ablation_small_{c}_{s}" for c in changes for s in (1, 2, 3)]
    first, second = (parse_study(parts[f"ablation_small_recipe_{n}"]) for n in (1, 2))
    assert (first.train.seeds, second.train.seeds) == ([1], [2])
    assert first.embed == Study().embed, "the default study's encoder is shared"
    assert second.embed.encoder.params == {"seed": 2}
    natural = parse_study(parts["ablation_small_natural_text_3"])
    assert natural.ingest.text.colour_notes.share == 0
    assert "captions" not in [source.name for source in natural.ingest.text.sources]
    own = parse_study(parts["ablation_small_no_colours_3"]).embed.encoder.params
    assert own == {"seed": 3, "values": {"colour_share": 0.0}}
    assert parts_of(first, parts["ablation_small_recipe_1"]) == {}


def test_each_change_differs_from_the_recipe_in_one_thing() -> None:
    for file in (ROOT / "config/studies/ablation_small").glob("*.yaml"):
        assert file.read_text("utf-8").startswith("# "), file
        change = yaml.safe_load(file.read_text("utf-8"))
        assert len(change) == 1, file


@pytest.mark.parametrize("text", ["- a list", "study: mine", ""])
def test_a_change_that_is_none_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "config/studies/mine"
    folder.mkdir(parents=True)
    (folder / "wrong.yaml").write_text(text)
    study = Study(study="mine")
    with pytest.raises(ConfigError, match="a change is a mapping"):
        parts_of(study, study.model_dump(mode="json"))
