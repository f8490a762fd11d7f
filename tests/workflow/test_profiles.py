"""The profiles, and what the workflow catalog asks of a repository."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.checkout import ROOT, Checkout

from valm.config.verbs import VERBS

PROFILES = sorted((ROOT / "workflow/profiles").glob("*/config.yaml"))
SCRIPT = ROOT / "workflow/kubernetes_job.py"


def profile(path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return settings


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_profiles_agree_on_what_runs_again_and_name_rules_that_exist(path: Path) -> None:
    settings = profile(path)
    assert settings["rerun-triggers"] == ["mtime", "params", "input", "code"]
    assert settings["rerun-incomplete"] is True
    rules = {name.replace("-", "_") for name in VERBS}
    assert set(settings.get("set-resources", {})) <= rules


def test_slurm_gives_every_job_memory_and_time_and_training_a_gpu(checkout: Checkout) -> None:
    settings = profile(ROOT / "workflow/profiles/slurm/config.yaml")
    defaults = dict(item.split("=") for item in settings["default-resources"])
    assert {"slurm_partition", "slurm_account", "runtime", "mem_mb"} == set(defaults)
    assert settings["set-resources"]["train_model"]["gpu"] == 1
    profiled = ("--profile", "workflow/profiles/slurm")
    run = checkout.snakemake("--dry-run", *profiled)
    assert run.returncode == 0, run.stdout[-3000:]


def test_the_catalog_finds_what_it_asks_for() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text("utf-8"))["usage"]
    assert usage["software-stack-deployment"]["conda"] is True and usage["report"] is True
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    for file in ("workflow/Snakefile", "config/README.md", "README.md", "LICENSE"):
        assert (ROOT / file).is_file()
    assert re.search(r"snakemake --cores all", (ROOT / "README.md").read_text(encoding="utf-8"))


KUBECTL = """\
#!{python}
import json, sys
if sys.argv[1] == "create":
    open("asked.json", "w").write(sys.stdin.read())
    print("job.batch/valm-x7")
else:
    assert sys.argv[2] == "job.batch/valm-x7"
    print(open("state.json").read())
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A folder on the "volume", with a stand-in for kubectl."""
    tool = tmp_path / "kubectl"
    tool.write_text(KUBECTL.format(python=sys.executable))
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def kubernetes_job(folder: Path, *arguments: str, **variables: str) -> Any:
    settings = {"VALM_IMAGE": "registry/valm", "VALM_CLAIM": "claim", "VALM_VOLUME": str(folder)}
    environment = os.environ | settings | variables
    environment["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=folder, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip


SUBMIT = ("submit", "--threads", "2", "--memory-mb", "4000", "--gpus", "1", "job.sh")


def test_a_kubernetes_job_runs_the_script_once_on_the_volume(cluster: Path) -> None:
    run = kubernetes_job(cluster, *SUBMIT)
    assert run.stdout == "job.batch/valm-x7\n", run.stderr
    spec = json.loads((cluster / "asked.json").read_bytes())["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["backoffLimit"] == 0 and spec["template"]["spec"]["restartPolicy"] == "Never"
    assert container["command"] == ["bash", str(cluster / "job.sh")]
    assert container["workingDir"] == str(cluster)
    assert container["volumeMounts"][0]["mountPath"] == str(cluster)
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "4000M"},
        "limits": {"memory": "4000M", "nvidia.com/gpu": "1"},
    }


@pytest.mark.parametrize(
    "status, word",
    [({}, "running"), ({"active": 1}, "running"), ({"succeeded": 1}, "success"), ({"failed": 1}, "failed")],
)  # fmt: skip
def test_its_state_is_said_in_snakemake_s_words(
    cluster: Path, status: dict[str, int], word: str
) -> None:
    (cluster / "state.json").write_text(json.dumps({"status": status}))
    assert kubernetes_job(cluster, "status", "job.batch/valm-x7").stdout == f"{word}\n"


@pytest.mark.parametrize(
    "variables, words",
    [({"VALM_IMAGE": ""}, "VALM_IMAGE not set"), ({"VALM_VOLUME": "/elsewhere"}, "not on the volume")],
)  # fmt: skip
def test_what_is_missing_is_one_line(cluster: Path, variables: dict[str, str], words: str) -> None:
    run = kubernetes_job(cluster, *SUBMIT, **variables)
    assert run.returncode and words in run.stderr and "Traceback" not in run.stderr
