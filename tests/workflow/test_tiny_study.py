"""The tiny study, by the users' own command: every rule runs, afterwards nothing does, a kill costs little.

One file, because one worker then runs it, and the study is made once.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import time

import pytest
import yaml
from builders.checkout import ROOT, Checkout, jobs, kill_group

from valm.config.verbs import VERBS

pytestmark = pytest.mark.timeout(1800)

Run = subprocess.CompletedProcess[str]


def test_every_rule_runs_and_the_report_is_there(first_run: tuple[Checkout, Run]) -> None:
    checkout, run = first_run
    assert set(jobs(run.stdout)) == {name.replace("-", "_") for name in VERBS}
    page = (checkout.results / "report/report.html").read_text(encoding="utf-8")
    assert "shape" in page
    for name in ("fetch_source", "train_model", "write_report"):
        assert list((checkout.results / "benchmarks").rglob(f"{name}*"))
        assert list((checkout.folder / "logs/tiny").rglob(f"{name}*"))


def test_a_second_run_has_nothing_to_do(finished: Checkout) -> None:
    again = finished.snakemake()
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


def test_every_manifest_is_intact(finished: Checkout) -> None:
    run = finished.run("python", "-m", "valm", "verify", "--results", "results/studies/tiny")
    assert run.returncode == 0, run.stdout
    assert "intact" in run.stdout


@pytest.mark.slow
def test_times_of_files_mean_nothing(finished: Checkout) -> None:
    files = [file for file in finished.results.rglob("*") if file.is_file()]
    dice = random.Random(1)
    for file in files:
        when = dice.uniform(1e9, 2e9)
        os.utime(file, (when, when))
    assert finished.to_be_run() == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "module, old, new, rules",
    [
        ("ingest/tokens.py", "import", "# why\nimport", set()),
        ("train/fit.py", '"""', '"""In other words: ', set()),
        ("models/trunk.py", "    return", "\n\n    return", set()),
        ("report/numbers.py", "import", "import this\nimport", {"run_notebook", "write_report"}),
    ],
)
def test_a_comment_reruns_nothing_and_code_what_depends_on_it(
    finished: Checkout, module: str, old: str, new: str, rules: set[str]
) -> None:
    file = finished.folder / "src/valm" / module
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f"\n{old}", f"\n{new}", 1), encoding="utf-8")
    try:
        assert set(finished.to_be_run()) == rules
    finally:
        file.write_text(text, encoding="utf-8")


VALM_ONLY = {"find_neighbours", "train_model", "evaluate_model", "score_models"}
REPORT = {"run_notebook", "write_report"}
EVERYTHING_AFTER_INGEST = {
    name.replace("-", "_") for name, v in VERBS.items() if v.phase != "ingest"
}

# A key, another value for it, and exactly the rules that run again.
RERUNS: dict[str, tuple[object, set[str]]] = {
    "report.prompts": (["a blue disc"], {"show_pictures"} | REPORT),
    "evaluate.statistics.bootstrap_samples": (101, {"score_models"} | REPORT),
    "evaluate.controls": (["permuted", "zero"], {"evaluate_model", "score_models"} | REPORT),
    "retrieve.top_k": (2, VALM_ONLY | {"measure_recall", "show_pictures", "prepare_task"} | REPORT),
    "retrieve.recall.queries": (50, {"measure_recall"} | REPORT),
    "train.steps": (21, {"train_model", "evaluate_model", "score_models"} | REPORT),
    "embed.encoder.params": ({"seed_of_nothing": 1}, EVERYTHING_AFTER_INGEST - {"extract_features"}),
}  # fmt: skip


def nested(path: str, value: object) -> list[str]:
    """``--config`` words that set one key: the keys above it, then the value, as YAML."""
    first, *rest = path.split(".")
    for key in reversed(rest):
        value = {key: value}
    return [
        "--config",
        f"{first}={yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", RERUNS)
def test_a_key_reruns_what_reads_it(finished: Checkout, path: str) -> None:
    value, rules = RERUNS[path]
    assert set(finished.to_be_run(*nested(path, value))) == rules


@pytest.mark.slow
def test_retrieval_never_touches_the_model_without_pictures(finished: Checkout) -> None:
    dry = finished.snakemake("--dry-run", *nested("retrieve.top_k", 2))
    assert "Training valm " in dry.stdout
    assert "Training gpt2_star" not in dry.stdout


@pytest.mark.slow
def test_another_seed_trains_only_itself(finished: Checkout) -> None:
    planned = finished.to_be_run(*nested("train.seeds", [1, 2]))
    assert planned["train_model"] == 2
    assert set(planned) == {"train_model", "evaluate_model", "score_models"} | REPORT


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--config", "retrieve={top_kk: 3}"], ["unknown key", "retrieve.top_kk", "'top_k'"]),
        (["--config", "train={steps: -1}"], ["train.steps", "greater than or equal to 1"]),
        (["--config", "evaluate={tasks: [shap]}"], ["no task named 'shap'", "'shape'"]),
    ],
)
def test_a_wrong_key_is_one_line_and_exit_code_2(
    checkout: Checkout, arguments: list[str], words: list[str]
) -> None:
    run = checkout.snakemake("--dry-run", *arguments)
    assert run.returncode == 2
    assert "Traceback" not in run.stdout
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("error:")]
    assert [word for word in words if word not in line] == []


@pytest.mark.slow
def test_one_phase_is_a_target(finished: Checkout, checkout: Checkout) -> None:
    planned = checkout.to_be_run("ingest")
    assert set(planned) <= {n.replace("-", "_") for n, v in VERBS.items() if v.phase == "ingest"}
    assert finished.to_be_run("retrieve") == {}


@pytest.mark.slow
def test_snakemakes_own_report_is_made(finished: Checkout) -> None:
    run = finished.snakemake("--report", "report.html")
    assert run.returncode == 0, run.stdout[-3000:]
    assert re.search(r"<html", (finished.folder / "report.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_default_study_and_the_photos_plan(checkout: Checkout) -> None:
    for arguments in ([], ["--configfile", "config/studies/photos.yaml"]):
        run = checkout.run("snakemake", "--cores", "2", "--dry-run", *arguments)
        assert run.returncode == 0, run.stdout[-3000:]
        assert {"fetch_source", "train_model", "write_report"} <= set(jobs(run.stdout))


@pytest.mark.slow
def test_studies_are_files_of_their_own(checkout: Checkout) -> None:
    for file in (ROOT / "config/studies").glob("*.yaml"):
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["study"] == file.stem


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process prints until a line holds a text."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}")


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_bytes(checkout: Checkout, finished: Checkout) -> None:
    for moment in ("Training the vocabulary", "Embedding all pictures", "Training valm"):
        release = checkout.run("python", "workflow/release_lock.py")
        assert release.returncode == 0, release.stdout
        process = checkout.start()
        wait_for(process, moment)
        time.sleep(2)  # into the job
        kill_group(process)
    done = set(checkout.manifests())

    locked = checkout.snakemake()
    assert "--unlock" in locked.stdout
    release = checkout.run("python", "workflow/release_lock.py")
    assert "snakemake --unlock" in release.stdout
    last = checkout.snakemake()

    assert last.returncode == 0, last.stdout[-6000:]
    # The report prints how long jobs took; everything before it has the same bytes.
    report = "report/report.manifest.json"
    results, undisturbed = checkout.manifests(), finished.manifests()
    assert set(results) == set(undisturbed)
    assert results | {report: b""} == undisturbed | {report: b""}
    assert sum(jobs(last.stdout).values()) <= len(finished.manifests()) + 6 - len(done) + 2


@pytest.mark.slow
def test_a_second_run_in_one_folder_is_refused(checkout: Checkout) -> None:
    process = checkout.start()
    wait_for(process, "Writing the pictures")
    try:
        refused = checkout.run("python", "workflow/release_lock.py")
        assert refused.returncode == 5
        assert f"process {process.pid}" in refused.stdout
    finally:
        kill_group(process)
