"""DVC and Snakemake tell one truth: recorded, pushed, cloned, adopted, linked; and forged files are refused."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from builders.checkout import ROOT, Checkout
from builders.free_port import free_port
from builders.phase_modules import roots
from builders.recorded_study import Repository, record

from valm.config.verbs import VERBS
from valm.core.fingerprint import modules_behind

pytestmark = pytest.mark.timeout(1800)
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def modules_of(phase: str) -> set[str]:
    """The modules whose code can make a job of a phase run."""
    return set().union(*(modules_behind(root) for root in roots(phase)))


@pytest.mark.parametrize("phase", STAGES)
def test_a_stage_names_all_that_can_make_snakemake_run_a_job_of_its_phase(phase: str) -> None:
    stage = STAGES[phase]
    (params,) = stage["params"]
    keys = {key for verb in VERBS.values() if verb.phase == phase for key in verb.reads}
    named = tuple(f"{key}." for key in params["config.yaml"])
    assert [key for key in keys if not f"{key}.".startswith(named)] == []
    folders = tuple(f"{path}/" for path in stage["deps"])
    files = {f"src/{module.replace('.', '/')}" for module in modules_of(phase)} - {"src/valm"}
    assert [file for file in files if not f"{file}/".startswith(folders)] == []
    assert f"workflow/rules/{phase}.smk" in stage["deps"]


@pytest.fixture(scope="module")
def recorded(
    first_run: tuple[Checkout, object], tmp_path_factory: pytest.TempPathFactory
) -> Repository:
    """The recorded study, pushed to a remote in a folder; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("recorded")
    repository = record(first_run[0], folder / "study")
    repository.dvc("remote", "add", "--quiet", "--default", "shelf", str(folder / "shelf"))
    repository.git("commit", "--quiet", "--all", "--message", "A remote")
    repository.dvc("push", "--quiet")
    return repository


@pytest.fixture
def clone(recorded: Repository, tmp_path: Path) -> Repository:
    """A clone into which the results were pulled."""
    cloned = recorded.clone(tmp_path / "clone")
    cloned.dvc("pull", "--quiet")
    return cloned


def planned(repository: Repository, *arguments: str) -> set[str]:
    return set(repository.to_be_run(*arguments))


def test_repro_has_nothing_to_do_after_a_record(recorded: Repository) -> None:
    assert recorded.is_clean()
    said = recorded.dvc("repro")
    assert "Data and pipelines are up to date" in said
    assert "Running stage" not in said


def test_params_are_shown_as_they_stand(recorded: Repository) -> None:
    code = "import dvc.api, json; print(json.dumps(dvc.api.params_show()))"
    shown = json.loads(recorded.must("python", "-c", code).splitlines()[-1])
    settings = yaml.safe_load((recorded.folder / "config.yaml").read_text(encoding="utf-8"))
    for section in ("ingest", "embed", "retrieve", "models", "train", "evaluate"):
        assert shown[section] == settings[section]


def test_metrics_and_plots_are_there(recorded: Repository, tmp_path: Path) -> None:
    (shown,) = json.loads(recorded.dvc("metrics", "show", "--json")).values()
    scores = shown["data"]["results/evaluate/metrics.json"]["data"]
    assert 0 <= scores["shape"]["accuracy"]["valm"] <= 1
    recorded.dvc("plots", "show", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    with (recorded.results / "report/losses.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert first["loss"] in page
    for figure in ("losses", "scores"):  # which are seen without the net, too
        assert f"results_report_figures_{figure}.svg" in page


def test_a_pulled_study_is_adopted_and_nothing_is_left_to_do(clone: Repository) -> None:
    adopted = clone.adopt()
    assert adopted.returncode == 0, adopted.stdout
    assert "no jobs are left to run" in adopted.stdout
    assert "Nothing to be done" in clone.snakemake("--dry-run").stdout
    assert clone.is_clean()

    dice = random.Random(1)
    for file in clone.results.rglob("*"):
        os.utime(file, (dice.uniform(1e9, 2e9),) * 2)
    assert planned(clone) == set()
    changed = planned(clone, "--config", "evaluate={statistics: {bootstrap_samples: 101}}")
    assert changed == {"score_models", "run_notebook", "write_report"}


def test_what_is_forged_or_made_otherwise_is_not_adopted(clone: Repository) -> None:
    def refused(file: Path, old: bytes, new: bytes, *words: str) -> None:
        content = file.read_bytes()
        assert old in content
        file.write_bytes(content.replace(old, new, 1))
        run = clone.adopt()
        file.write_bytes(content)
        assert run.returncode == 4, run.stdout
        (line,) = [line for line in run.stdout.splitlines() if line.startswith("error:")]
        assert [word for word in words if word not in line] == []
        assert [*(clone.folder / ".snakemake/metadata").rglob("*")] == []  # nothing was adopted

    results = clone.results
    notebook = results / "report/notebooks/04_train.ipynb"
    refused(notebook, b"cell", b"sell", "differs from its manifest", "04_train.ipynb")
    tokens = results / "ingest/tokens/tokens.manifest.json"
    refused(tokens, b'"rows": ', b'"rows": 1', "made from another", "tokens.manifest.json")
    leaf = results / "retrieve/recall.manifest.json"
    refused(leaf, b'"config_digest": "', b'"config_digest": "f', "recall.manifest.json")
    settings = clone.folder / "config.yaml"
    refused(settings, b"steps: 20\n", b"steps: 21\n", "made with other settings", "steps")
    code = clone.folder / "src/valm/ingest/text/corpus.py"
    refused(code, b"\nimport ", b"\nimport this\nimport ", "made with other code")


@pytest.mark.slow
def test_an_experiment_runs_what_its_key_reaches_and_is_compared(
    clone: Repository, tmp_path: Path
) -> None:
    assert clone.adopt().returncode == 0
    ran = clone.dvc("exp", "run", "--name", "longer", "-S", "config.yaml:train.steps=21")
    assert "Running stage 'retrieve'" not in ran
    assert "Running stage 'train'" in ran
    assert planned(clone) == set()
    assert clone.is_clean()
    (params,) = json.loads(clone.dvc("params", "diff", "--json")).values()
    assert params == {"train.steps": {"old": 20, "new": 21, "diff": 1}}
    (metrics,) = json.loads(clone.dvc("metrics", "diff", "--json")).values()
    assert metrics["held_out_text.perplexity.valm"]["diff"] != 0
    clone.dvc("plots", "diff", "HEAD", "--out", str(tmp_path / "plots"))
    assert "longer" in clone.dvc("exp", "show", "--csv")


@pytest.mark.slow
def test_one_stage_runs_with_what_it_needs(clone: Repository) -> None:
    assert clone.adopt().returncode == 0
    settings = clone.folder / "config.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("queries: 100", "queries: 50"), encoding="utf-8")
    ran = clone.dvc("repro", "evaluate")
    assert "Running stage 'retrieve'" in ran
    assert "Finding the pictures" not in ran
    assert "Running stage 'train'" in ran  # its inputs changed for DVC; Snakemake has nothing to do
    assert "Training valm" not in ran
    assert "Running stage 'report'" not in ran
    assert list(json.loads(clone.dvc("status", "--json"))) == ["report"]
    assert planned(clone, "evaluate") == set()


@pytest.mark.slow
@pytest.mark.parametrize("link", ["hardlink", "symlink", "reflink,copy", "copy"])
def test_a_rerun_never_writes_through_a_link_into_the_cache(
    recorded: Repository, tmp_path: Path, link: str
) -> None:
    linked = recorded.clone(tmp_path / "linked")
    linked.dvc("config", "cache.type", link)
    linked.dvc("pull", "--quiet")
    model = linked.results / "train/valm/seed1/model.safetensors"
    before = model.read_bytes()
    assert model.is_symlink() == (link == "symlink")
    assert (model.stat().st_nlink > 1) == (link == "hardlink")
    assert linked.adopt().returncode == 0

    rerun = linked.snakemake("--config", "seed=2")
    assert rerun.returncode == 0, rerun.stdout[-6000:]
    assert "Training the vocabulary" in rerun.stdout
    assert model.read_bytes() != before
    assert linked.damaged_cache() == []
    linked.dvc("checkout", "--force", "--quiet")
    assert model.read_bytes() == before


@pytest.fixture
def object_store() -> Iterator[dict[str, str]]:
    """A local server that speaks S3, and the variables that lead to it."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", port]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_results_travel_by_an_object_store(
    recorded: Repository, tmp_path: Path, object_store: dict[str, str]
) -> None:
    code = "import boto3; boto3.client('s3').create_bucket(Bucket='study')"
    recorded.must("python", "-c", code, **object_store)
    sender = recorded.clone(tmp_path / "sender")
    sender.dvc("pull", "--quiet")
    sender.dvc("remote", "add", "--quiet", "--default", "--force", "shelf", "s3://study/results")
    sender.dvc("push", "--quiet", **object_store)
    sender.git("commit", "--quiet", "--all", "--message", "The object store as remote")

    receiver = sender.clone(tmp_path / "receiver")
    receiver.dvc("pull", "--quiet", **object_store)
    assert receiver.manifests() == recorded.manifests()
    assert "no jobs are left to run" in receiver.adopt().stdout
