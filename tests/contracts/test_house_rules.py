"""What tools can check of the house rules: style, types, imports, generated files, locks."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from valm.config.verbs import VERBS

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
PHASES = ["ingest", "embed", "retrieve", "train", "evaluate", "report"]

# What a benchmark calls is not run by a test, so mypy sees that it is still there.
CHECKS = {
    "style": ["ruff", "check", "src", "tests", "workflow"],
    "layout": ["ruff", "format", "--check", "src", "tests", "workflow"],
    "types": ["mypy"],
    "types of the benchmarks": [
        "mypy",
        "--allow-untyped-calls",
        "--no-warn-return-any",
        "--no-warn-unused-ignores",
        "benchmarks",
    ],
    "imports": ["lint-imports"],
    "layout of the rules": ["snakefmt", "--check", "workflow"],
    "rules": ["snakemake", "--lint"],
    "configuration documents": ["valm", "write-config", "--check"],
    "environments": ["python", "workflow/write_environments.py", "--check"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_clean(name: str) -> None:
    tool, *arguments = CHECKS[name]
    environment = os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        [TOOLS / tool, *arguments],
        cwd=ROOT, capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]


DIRECTIVES = [
    "input", "output", "params", "log", "benchmark", "conda", "message", "threads", "resources", "shell",
]  # fmt: skip


def rules() -> dict[str, tuple[str, list[str]]]:
    """Phase and directives of each rule that runs something."""
    found = {}
    for phase in PHASES:
        text = (ROOT / f"workflow/rules/{phase}.smk").read_text(encoding="utf-8")
        for name, body in re.findall(r"^rule (\w+):\n((?: .*\n|\n)+)", text, re.M):
            directives = re.findall(r"^    (\w+):", body, re.M)
            if name != phase:
                found[name] = (phase, directives)
    return found


def test_every_verb_has_its_rule_in_its_phase() -> None:
    expected = {name.replace("-", "_"): verb.phase for name, verb in VERBS.items()}
    assert {name: phase for name, (phase, _) in rules().items()} == expected


@pytest.mark.parametrize("rule", rules())
def test_a_rule_states_everything_in_one_order(rule: str) -> None:
    phase, directives = rules()[rule]
    first = [] if rule in ("fetch_source", "list_urls") else ["input"]
    assert [d for d in directives if d != "wildcard_constraints"] == first + DIRECTIVES[1:]
    text = (ROOT / f"workflow/rules/{phase}.smk").read_text(encoding="utf-8")
    assert f'"python -m valm {rule.replace("_", "-")} ' in text
    environment = "download" if rule == "download_pictures" else phase
    assert f'"../../envs/{environment}.yaml"' in text


def pins(file: Path) -> dict[str, str]:
    """Version of each package that a lock names."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", file.read_text("utf-8"), re.M))


@pytest.mark.parametrize(
    "file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda f: f.stem
)
def test_locks_agree_are_hashed_and_name_no_host(file: Path) -> None:
    text, lock = file.read_text(encoding="utf-8"), pins(ROOT / "requirements/lock.txt")
    own = pins(file)
    assert own
    only_for_gpu = {name for name in own if "faiss" in name or name.endswith("-cu12")}
    # What ours is measured against, and img2dataset, need versions of their own.
    if not file.stem.startswith(("bench-", "download")):
        assert {n: v for n, v in own.items() if n not in only_for_gpu and lock.get(n) != v} == {}
    assert "://" not in text
    for package in re.split(r"\n(?=[A-Za-z0-9])", text):
        assert "--hash=sha256:" in package, package[:80]


def test_a_phase_lock_has_what_its_extra_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for phase in PHASES:
        asked = project["dependencies"] + project["optional-dependencies"][phase]
        names = {re.split(r"[\[=><~ ]", line)[0].lower().replace("_", "-") for line in asked}
        missing = names - set(pins(ROOT / f"requirements/{phase}.txt"))
        assert not missing, f"{phase}: {missing} -> make lock"


@pytest.mark.parametrize("file", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda f: f.stem)
def test_an_environment_brings_python_and_pip_by_conda_and_the_rest_hashed(file: Path) -> None:
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert all("--hash=sha256:" in line for line in pip["pip"])
    assert os.access(file.with_suffix(".post-deploy.sh"), os.R_OK)


def test_dvc_has_the_six_phases_and_never_empties_an_output() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert list(stages) == PHASES
    for phase, stage in stages.items():
        assert stage["cmd"] == f"snakemake --cores all {phase}"
        assert stage["outs"] == [{f"results/{phase}": {"persist": True}}]
