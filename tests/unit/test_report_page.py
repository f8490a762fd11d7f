"""The page: whole, linked, small, the same bytes again; and honest where a study has nothing."""

import re
import subprocess
from html import unescape
from pathlib import Path

import polars as pl
import pytest
from builders.results import write_results
from builders.scores import MODELS, Story

from valm.core.job import Job
from valm.core.manifest import verify_files
from valm.report import provenance
from valm.report.answers import counted_answers
from valm.report.chapters import findings
from valm.report.describe import describe
from valm.report.figures.curves import smoothed
from valm.report.links import linked, resolved
from valm.report.pages.artifacts import artifacts_page
from valm.report.pages.report import write_report
from valm.report.pages.shell import TITLES
from valm.report.results import Results
from valm.report.tables.costs import model_costs, rule_costs, training_costs

JOB = Job("write-report", {"study": "another"}, "code")


def write(results: Path) -> str:
    notebooks = [results / "report/notebooks" / f"{name}.ipynb" for name in TITLES]
    output = results / "report" / "report.manifest.json"
    write_report(JOB, results=results, notebooks=notebooks, output=output)
    return (output.parent / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("study") / "results")


@pytest.fixture(scope="module")
def html(results: Path) -> str:
    return write(results)


def test_page_is_whole_and_its_contents_lead_somewhere(results: Path, html: str) -> None:
    anchors = set(re.findall(r'\bid="([^"]+)"', html))
    targets = re.findall(r'href="#([^"]+)"', html)
    assert "retrieved" in targets
    assert "This study has no" not in html
    assert set(targets) <= anchors
    assert 'href="notebooks/01_ingest.html"' in html
    assert (
        html.index("<h1>")
        < html.index('id="figure-differences"')
        < html.index('id="table-summary"')
    )
    assert len(html) < 8_000_000
    names = set(verify_files(results / "report/report.manifest.json").files)
    assert {
        "index.html",
        "tables/results.csv",
        "figures/differences.svg",
        "figures/losses.svg",
        "losses.csv",
    } <= names
    losses = pl.read_csv(results / "report/losses.csv")
    assert losses.columns == ["model", "seed", "step", "tokens", "loss", "valid_loss"]
    assert set(losses["model"]) == set(MODELS)


def test_every_table_and_figure_leads_to_its_files(results: Path, html: str) -> None:
    files = set(re.findall(r'href="((?:tables|figures)/[^"]+)"', html))
    assert {"tables/paper_table_2.csv", "figures/counterfactual.svg"} <= files
    assert "make study" not in html and "config/studies/another.yaml" in html
    assert "models.variants" in html


@pytest.mark.parametrize("name", ["index.html", "artifacts.html", "data_card.html"])
def test_every_link_leads_to_a_file_and_to_a_place_in_it(
    results: Path, html: str, name: str
) -> None:
    page = results / "report" / name
    links = set(re.findall(r'(?:href|src)="([^"]*)"', page.read_text(encoding="utf-8")))
    links -= {link for link in links if re.match(r"notebooks/|data:", link)}  # other verbs' pages
    assert len(links) > 10
    for link in links:
        path, _, anchor = unescape(link).partition("#")
        target = page.parent / path if path else page
        assert target.is_file(), link
        assert not anchor or f'id="{anchor}"' in target.read_text(encoding="utf-8"), link


def test_every_number_of_ours_in_a_table_leads_to_what_made_it(html: str) -> None:
    cells = re.findall(r'<td headers="([^"]*)" class="gt_row gt_right">(.*?)</td>', html, re.DOTALL)
    unlinked = [of for of, cell in cells if re.search(r"\d", cell) and "<a " not in cell]
    assert len(cells) > 500
    assert [of for of in unlinked if "published" not in of.lower()] == []
    rows = [r for r in html.split("<tr") if ">VaLM, pictures permuted" in r]
    assert 'href="artifacts.html#evaluate/predictions/valm/colour"' in rows[0]


def test_an_artifact_s_entry_holds_manifest_files_settings_and_ancestry(
    results: Path, html: str
) -> None:
    page = (results / "report/artifacts.html").read_text(encoding="utf-8")
    entry = page[page.index('id="train/valm/seed1/model"') :]
    entry = entry[: entry.index("</section>")]
    for link in ("model.manifest.json", "model.safetensors", "metrics.jsonl"):
        assert f'href="../train/valm/seed1/{link}"' in entry
    assert 'href="#retrieve/neighbours/fixed/train"' in entry
    assert (
        "models.variants" in entry
        and verify_files(results / "train/valm/seed1/model.manifest.json").digest in entry
    )
    used = page[page.index('id="retrieve/neighbours/fixed/train"') :]
    assert 'href="#train/valm/seed1/model"' in used[: used.index("</section>")]


def test_an_entry_names_the_study_whose_work_was_taken(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {"embed/encoder/encoder": "elsewhere"}
    monkeypatch.setattr(Results, "made_by_others", lambda _: taken)
    page, _ = artifacts_page(Results(results), "small")
    assert page.count("in the study elsewhere") == 1


def test_a_number_whose_artifact_is_gone_leads_to_its_folder_or_nowhere() -> None:
    number = linked("7", "evaluate/predictions/bert/colour")
    assert resolved(number, {"evaluate/predictions"}) == linked("7", "evaluate/predictions")
    assert resolved(number, {"train"}) == "7"


def test_the_page_names_the_commit_and_what_was_changed_since(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True)

    assert "not in a git repository" in write(tmp_path / "results")
    (tmp_path / "config.yaml").write_text("seed: 1\n", encoding="utf-8")
    git("init", "-q")
    git("add", "config.yaml")
    git("commit", "-qm", "one")
    known = provenance.checkout(tmp_path)
    assert known is not None and len(known.commit) == 40 and known.changed == ()
    assert f"commit {known.commit[:7]}</a>" in write(tmp_path / "results")
    (tmp_path / "config.yaml").write_text("seed: 2\n", encoding="utf-8")
    html = write(tmp_path / "results")
    assert f"commit {known.commit[:7]} and changes" in html and "config.yaml" in html


def test_page_has_the_same_bytes_again(results: Path, html: str) -> None:
    figures = {p.name: p.read_bytes() for p in (results / "report/figures").iterdir()}
    assert write(results) == html
    assert {p.name: p.read_bytes() for p in (results / "report/figures").iterdir()} == figures


def test_figures_follow_the_theme_and_name_no_date(results: Path, html: str) -> None:
    for path in (results / "report/figures").iterdir():
        svg = path.read_text(encoding="utf-8")
        assert "currentColor" in svg
        assert not re.search(r"dc:date|20\d\d-\d\d-\d\d|Matplotlib|/tmp", svg)


def test_answers_are_counted_after_calibration() -> None:
    labels = {"seed": 1, "prompt": "p", "part": ""}
    frame = pl.DataFrame(
        [
            labels | {"item": "", "answer": -1, "choice_0": -1.0, "choice_1": -3.0},
            labels | {"item": "a", "answer": 0, "choice_0": -2.0, "choice_1": -3.5},
            labels | {"item": "b", "answer": 0, "choice_0": -1.0, "choice_1": -3.5},
            labels | {"item": "c", "answer": 0, "choice_0": 0.0, "choice_1": -9.0, "part": "dev"},
        ]
    )
    counted = counted_answers({("valm", "own"): frame}, ["red", "blue"]).drop("model", "control")
    assert sorted(counted.iter_rows()) == [("red", "blue", 1), ("red", "red", 1)]


def test_headline_follows_the_scores(tmp_path: Path) -> None:
    none = dict.fromkeys(Story().gains, 0.0)
    assert "does not show that looking at pictures helps" in write(
        write_results(tmp_path, Story(gains=none))
    )


def test_empty_study_still_has_a_page(tmp_path: Path) -> None:
    assert "nothing has been made yet" in describe(tmp_path)
    html = write(tmp_path)
    assert "This study has no comparison that could tell whether pictures help." in html
    assert html.count("This study has no ") > 10


def test_costs_are_relative_to_the_baseline(results: Path) -> None:
    study = Results(results)
    relative = dict(training_costs(study.training_logs()).select("model", "relative").iter_rows())
    assert relative["gpt2_star"] == 1.0
    assert relative["valm"] == pytest.approx(2600 / 2400)
    rules = {row["rule"]: row for row in rule_costs(study.benchmarks()).to_dicts()}
    assert rules["train_model"]["seconds"] == 631.0
    assert rules["train_model"]["peak_mib"] == 1850.2
    assert rules["train_model"]["phase"] == "train"
    costs = {row["model"]: row for row in model_costs(study).to_dicts()}
    assert costs["gpt2_star"]["picture_bytes"] == 0
    assert costs["gpt2_star"]["relative_with_search"] == 1.0
    assert costs["valm"]["weight_bytes"] == 5_000
    assert costs["valm"]["picture_bytes"] == 1_600 + 230
    assert costs["valm"]["search_seconds"] == pytest.approx(0.0002)
    assert costs["valm"]["relative_with_search"] == pytest.approx(2600 * (1 / 2400 + 0.0002))
    assert rules["list_pictures"]["peak_mib"] is None
    assert costs["valm"]["relative_processor"] == pytest.approx(330 / 301)
    read = costs["valm"]["tokens"]
    with_search = (330 / read + 0.0002) / (301 / read)
    assert costs["valm"]["relative_processor_with_search"] == pytest.approx(with_search)
    assert costs["valm_random"]["relative_processor"] is None  # nothing measured it


def test_a_manifest_without_files_has_no_size(results: Path) -> None:
    made = {"a": Results(results).manifests("ingest")["tokens/tokens"]}
    assert provenance.artifacts(made)["bytes"].to_list() == [None]


def test_costs_count_jobs_of_other_studies_only_where_there_are_any(results: Path) -> None:
    html = findings.costs(results)._repr_html_()
    assert "Processor time" in html
    assert "taken" not in html and "Of other studies" not in html


def test_smoothing_keeps_constants_and_ends() -> None:
    assert smoothed(pl.Series([3.0] * 40)).to_list() == pytest.approx([3.0] * 40)
    line = pl.Series([float(i) for i in range(60)])
    assert smoothed(line).to_list() == pytest.approx(line.to_list())


def test_describe_counts_by_phase(results: Path) -> None:
    text = describe(results)
    assert "train: 8 artifacts" in text
    assert re.search(r"pictures/list\s+picture_list\s+23 rows", text)
