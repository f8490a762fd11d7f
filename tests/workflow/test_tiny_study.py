"""The tiny study, by the users' own command: every rule runs, afterwards nothing does, a kill costs little.

One file, because one worker then runs it, and the study is made once.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest
import yaml
from builders.checkout import ROOT, TINY, Checkout, jobs, kill_group
from builders.reruns import INDICES, KEYS

from valm.cli.dry_run import parse_jobs
from valm.config.verbs import ON_REQUEST, VERBS
from valm.core.digest import digest_data
from valm.core.manifest import read_manifest

pytestmark = pytest.mark.timeout(1800)

Run = subprocess.CompletedProcess[str]


def test_every_rule_runs_and_the_report_is_there(first_run: tuple[Checkout, Run]) -> None:
    checkout, run = first_run
    assert set(jobs(run.stdout)) == {
        name.replace("-", "_") for name in VERBS if name not in ON_REQUEST
    }
    page = (checkout.results / "report/index.html").read_text(encoding="utf-8")
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


def test_what_no_manifest_names_is_told_by_its_verb(finished: Checkout) -> None:
    """Otherwise a study that takes a result from another would be left without it."""
    manifests = set(finished.results.rglob("*.manifest.json"))
    named = {path.parent / name for path in manifests for name in read_manifest(path).files}
    files = {path for path in finished.results.rglob("*") if path.is_file()}
    left = {
        path.name
        for path in files - manifests - named
        if "benchmarks" not in path.relative_to(finished.results).parts
    }
    assert left == {name for verb in VERBS.values() for name in verb.histories}


def test_a_manifest_s_recipe_is_what_its_digests_were_taken_of(finished: Checkout) -> None:
    for path in finished.results.rglob("*.manifest.json"):
        made = read_manifest(path)
        recipe = made.recipe.model_dump()
        modules = recipe.pop("modules")
        assert digest_data(recipe) == made.config_digest, path
        assert digest_data(modules) == made.code_digest, path


def test_the_harness_scores_a_trained_model_as_the_study_does(finished: Checkout) -> None:
    """lm-evaluation-harness with the study's own retriever; every token is looked up anew."""
    scores = pl.read_parquet(finished.results / "evaluate/scores.parquet")
    ours = scores.filter(task="shape", definition="legacy", seed=1, control="own")
    for model in ("gpt2_star", "valm"):
        trained = finished.results / f"train/{model}/seed1/model.manifest.json"
        output = finished.folder / f"{model}.json"
        run = finished.run(
            "python", "-m", "valm", "lm-eval", "--model", str(trained), "--results", "results/studies/tiny",
            "--tasks", "valm_shape", "--output", str(output),
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-3000:]
        found = json.loads(output.read_text(encoding="utf-8"))
        assert found["results"]["valm_shape"]["acc,none"] == pytest.approx(
            ours.filter(model=model)["value"][0], abs=1e-9
        )
        assert found["pictures"] == ("retrieved" if model == "valm" else "none")


@pytest.mark.slow
def test_times_of_files_mean_nothing(finished: Checkout) -> None:
    files = [file for file in finished.results.rglob("*") if file.is_file()]
    dice = random.Random(1)
    for file in files:
        when = dice.uniform(1e9, time.time())  # Snakemake runs no job on inputs of the future
        os.utime(file, (when, when))
    assert finished.to_be_run() == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "module, old, new, rules",
    [
        ("ingest/text/tokens.py", "import", "# why\nimport", set()),
        ("train/fit.py", '"""', '"""In other words: ', set()),
        ("models/trunk.py", "    return", "\n\n    return", set()),
        (
            "report/words/numbers.py",
            "import",
            "import this\nimport",
            {"run_notebook", "write_report"},
        ),
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


# Rows that a dry run is asked about: all that ask for other jobs, and one of each set of rules.
ASKED = [key for key, change in KEYS.items() if change.other_jobs] + [
    "seed", "ingest.mirror", "ingest.pictures.storage.side_pixels", "ingest.text.split.valid_fraction",
    "embed.features.precision", "embed.encoder.params", "retrieve.top_k", "retrieve.recall.queries",
    "retrieve.indices[].recall_floor", "retrieve.indices[].nprobe", "models.variants[].pictures",
    "train.steps", "train.tracking", "evaluate.controls", "evaluate.statistics.confidence", "report.prompts",
]  # fmt: skip


# Pairs under test must be models of the study.
NO_PAIRS = ["evaluate={statistics: {comparisons: []}}"]


def setting(path: str, value: object) -> list[str]:
    """``--config`` words that set one key: the keys above it, then the value, as YAML."""
    first, *rest = path.split(".")
    for key in reversed(rest):
        value = {key: value}
    words = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return ["--config", f"{first}={words.removesuffix('...' + chr(10)).strip()}"]


@pytest.mark.slow
@pytest.mark.parametrize("key", ASKED)
def test_a_key_reruns_what_reads_it(finished: Checkout, key: str) -> None:
    change = KEYS[key]
    words = setting(change.at or key, change.value)
    pairs = NO_PAIRS if key.startswith("models.variants") else []
    assert set(finished.to_be_run(*words, *pairs)) == change.rules


@pytest.mark.slow
def test_a_key_that_changes_no_result_reaches_its_job_all_the_same(finished: Checkout) -> None:
    another = "results/studies/tiny/train/gpt2_star/seed7/model.manifest.json"
    run = finished.snakemake(*setting("train.tracking", "wandb"), "--", another)
    assert run.returncode != 0
    assert "the package 'wandb' is not installed" in run.stdout


@pytest.mark.slow
def test_retrieval_never_touches_the_model_without_pictures(finished: Checkout) -> None:
    dry = finished.snakemake("--dry-run", "--printshellcmds", *setting("retrieve.top_k", 2))
    models = {name for job in parse_jobs(dry.stdout) for name in job.options.get("model", [])}
    assert models == {"valm"}


@pytest.mark.slow
def test_another_seed_trains_only_itself_and_another_task_asks_only_itself(
    finished: Checkout,
) -> None:
    assert finished.to_be_run(*setting("train.seeds", [1, 2]))["train_model"] == 2
    planned = finished.to_be_run(*setting("evaluate.optional_tasks", ["size"]))
    assert planned["prepare_task"] == 1 and planned["evaluate_model"] == 2


def valm(checkout: Checkout, *arguments: str) -> Run:
    return checkout.run("python", "-m", "valm", *arguments)


@pytest.mark.slow
def test_a_model_goes_on_with_a_prompt_and_shows_what_it_looked_at(finished: Checkout) -> None:
    files = [f"--config={file}" for file in ("config.yaml", "config/studies/tiny.yaml")]
    words = ("generate", "a red disc", "--tokens", "3", "--show-pictures", "--json", *files)
    run = valm(finished, *words)
    assert run.returncode == 0, run.stdout
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["text"].startswith("a red disc")
    assert all(token["pictures"] for token in told["tokens"][:-1])


@pytest.mark.slow
def test_a_retracted_picture_leaves_what_depends_on_it_and_nothing_else_runs(
    finished: Checkout,
) -> None:
    table = finished.results / "retrieve/neighbours/fixed/train.ids.npy"
    shown = int(np.bincount(np.load(table)[:, 0]).argmax())
    untouched = finished.results / "embed/vectors/vectors.manifest.json"
    before = untouched.read_bytes()
    ids = finished.folder / "ids.txt"
    ids.write_text(f"{shown}\n", encoding="utf-8")
    pictures = (finished.results / "ingest/pictures/list.manifest.json").as_posix()
    run = valm(finished, "retract", "--ids", ids.as_posix(), "--pictures", pictures)
    assert run.returncode == 0 and "1 pictures are retracted" in run.stdout, run.stdout
    listed = finished.folder / "config/retracted.tsv"
    try:
        planned = finished.snakemake("--dry-run", "--printshellcmds").stdout
        assert set(jobs(planned)) == {"list_retracted", "audit_leakage"} | INDICES
        assert "Training gpt2_star" not in planned
        asked = re.findall("valm evaluate-model --model valm .*", planned)
        assert asked and all("/retracted.manifest.json" in command for command in asked)
        run = finished.snakemake("--", "retrieve")
        assert run.returncode == 0, run.stdout[-3000:]
        assert shown not in np.load(table)
        prompts = (finished.results / "retrieve/prompts.json").read_text(encoding="utf-8")
        assert all(shown not in row for entry in json.loads(prompts) for row in entry["ids"])
        assert untouched.read_bytes() == before
    finally:
        listed.unlink()
        assert finished.snakemake("--", "retrieve").returncode == 0
    assert shown in np.load(table) and finished.to_be_run() == {}


@pytest.mark.slow
def test_explain_names_the_key_and_the_way_to_the_target(finished: Checkout) -> None:
    target = "results/studies/tiny/train/valm/seed1/model.manifest.json"
    tiny = ("--configfile", "config/studies/tiny.yaml")
    fresh = valm(finished, "explain", target, *tiny)
    assert fresh.returncode == 0 and "nothing to do" in fresh.stdout
    words = valm(finished, "explain", target, *tiny, *setting("retrieve.top_k", 2)).stdout
    assert "retrieve.top_k: 4 -> 2" in words
    assert "neighbours/fixed/train.manifest.json, which is made again" in words
    assert "gpt2_star" not in words and "3 jobs" in words
    unknown = valm(finished, "explain", "results/nothing.json", *tiny)
    assert unknown.returncode == 2 and "Traceback" not in unknown.stdout


@pytest.mark.slow
def test_explain_names_the_module_and_the_missing_file(finished: Checkout) -> None:
    tiny = ("--configfile", "config/studies/tiny.yaml")
    file = finished.folder / "src/valm/retrieve/queries.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\nNEW = 1\n", encoding="utf-8")
    try:
        words = valm(finished, "explain", "all", *tiny).stdout
    finally:
        file.write_text(text, encoding="utf-8")
    assert "the module valm.retrieve.queries has changed" in words
    assert "valm.retrieve.index" not in words and "Writing the report" in words
    table = finished.results / "retrieve/neighbours/fixed/valid.ids.npy"
    name = table.relative_to(finished.folder).as_posix()
    aside = table.rename(table.with_suffix(".aside"))
    try:
        words = valm(finished, "explain", name, *tiny).stdout
    finally:
        aside.rename(table)
    assert "valid.ids.npy is missing" in words


@pytest.mark.slow
def test_plan_counts_jobs_and_tells_known_times_from_unknown(finished: Checkout) -> None:
    tiny = ("--configfile", "config/studies/tiny.yaml")
    assert "nothing to do" in valm(finished, "plan", *tiny).stdout
    words = valm(finished, "plan", "train", *tiny, *setting("train.seeds", [1, 2])).stdout
    assert re.search(r"^train_model +2 +0 +\d+ (s|min)$", words, re.M), words
    (finished.results / "benchmarks").rename(finished.folder / "aside")
    try:
        words = valm(finished, "plan", "train", *tiny, *setting("train.seeds", [1, 2])).stdout
    finally:
        (finished.folder / "aside").rename(finished.results / "benchmarks")
    assert re.search(r"^train_model +2 +0 +unknown$", words, re.M), words


@pytest.mark.slow
def test_one_cell_of_a_table_is_a_target(finished: Checkout, checkout: Checkout) -> None:
    cell = "results/studies/tiny/evaluate/valm/shape/seed1.json"
    alone = checkout.snakemake("--dry-run", cell).stdout
    assert "Training valm with seed 1" in alone and "gpt2_star" not in alone
    run = finished.snakemake("--", cell)
    assert run.returncode == 0, run.stdout[-3000:]
    assert jobs(run.stdout) == {"score_cell": 1}
    scores = json.loads((finished.folder / cell).read_bytes())["scores"]
    shutil.rmtree((finished.folder / cell).parents[1])
    table = pl.read_parquet(finished.results / "evaluate/scores.parquet")
    same = table.filter(pl.col("model") == "valm", pl.col("task") == "shape", pl.col("seed") == 1)
    assert scores == same.to_dicts() and len(scores) > 2


@pytest.mark.slow
def test_one_phase_is_a_target(finished: Checkout, checkout: Checkout) -> None:
    planned = checkout.to_be_run("ingest")
    assert set(planned) <= {n.replace("-", "_") for n, v in VERBS.items() if v.phase == "ingest"}
    assert finished.to_be_run("retrieve") == {}


@pytest.mark.slow
def test_snakemakes_own_report_is_made_without_a_net(finished: Checkout) -> None:
    nowhere = "http://127.0.0.1:9"  # where nobody answers: whatever asked the net would fail
    run = finished.run(
        "snakemake", *TINY, "--report", "report.zip", http_proxy=nowhere, https_proxy=nowhere
    )
    assert run.returncode == 0, run.stdout[-3000:]
    with ZipFile(finished.folder / "report.zip") as made:
        pages = {name.rsplit("/", 1)[1] for name in made.namelist()}
        shell = made.read("report/report.html").decode()
    notebooks = {f"{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {"report.html", "index.html", "viewer.html"} | notebooks == pages
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//', shell)


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
def test_a_study_killed_at_random_goes_on_to_the_same_bytes(
    checkout: Checkout, finished: Checkout
) -> None:
    dice = random.Random(7)
    for kill in range(4):
        release = checkout.run("python", "workflow/release_lock.py")
        assert release.returncode == 0, release.stdout
        process = checkout.start()
        if kill == 3:
            wait_for(process, "Training valm")
        else:
            for _ in range(dice.randrange(1, 7)):
                wait_for(process, "Finished jobid")
        time.sleep(dice.uniform(0, 3))  # into a job
        kill_group(process)
    done = {path.as_posix() for path in checkout.results.rglob("*.manifest.json")}

    locked = checkout.snakemake()
    assert "--unlock" in locked.stdout
    release = checkout.run("python", "workflow/release_lock.py")
    assert "snakemake --unlock" in release.stdout
    planned = parse_jobs(checkout.snakemake("--dry-run", "--printshellcmds").stdout)
    # A result that was written but not yet recorded when the kill came may be made again; no other.
    redone = {(checkout.folder / job.output).as_posix() for job in planned} & done
    assert len(redone) <= 2, redone
    last = checkout.snakemake()

    assert last.returncode == 0, last.stdout[-6000:]
    # The report prints how long jobs took; everything before it has the same bytes.
    results, undisturbed = checkout.manifests(), finished.manifests()
    assert set(results) == set(undisturbed)
    different = {name for name in results if results[name] != undisturbed[name]}
    assert {name for name in different if not name.startswith("report/")} == set()


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
