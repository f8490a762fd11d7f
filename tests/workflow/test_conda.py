"""`--use-conda`: each phase's environment holds what its code imports, and is really made and used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from builders.checkout import ROOT, TINY, Checkout, jobs
from builders.phase_modules import PLUGINS, distributions
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.timeout(3600)
TOOL = "VALM_LOCAL_CONDA"  # the folder of a stand-in for conda that needs no channel
ALL_ENVIRONMENTS = 32_000_000_000  # bytes: 27 GB stay, and pip unpacks one at a time


def locked(name: str) -> dict[str, str]:
    """Version of each package of a lock."""
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", text, re.M)
    return {canonicalize_name(package): version for package, version in pins}


@pytest.mark.parametrize("phase", PLUGINS)
def test_what_a_phase_imports_is_in_its_environment(phase: str) -> None:
    lock = locked(phase).keys()
    found = distributions(phase)
    assert {"numpy", "pydantic"} <= found.keys()
    missing = {
        package: sorted(by) for package, (brought, by) in found.items() if not brought & lock
    }
    assert missing == {}


@pytest.mark.parametrize("file", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda f: f.stem)
def test_an_environment_has_the_packages_of_its_lock(file: Path) -> None:
    *_, pip = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    pairs = [re.split("==| ", line)[:2] for line in pip["pip"]]
    assert {canonicalize_name(name): version for name, version in pairs} == locked(file.stem)


def test_the_gpu_environment_differs_in_faiss_alone() -> None:
    gpu, cpu = locked("retrieve.gpu"), locked("retrieve")
    assert gpu["faiss-gpu"] == cpu["faiss-cpu"]
    assert cpu.keys() - gpu.keys() == {"faiss-cpu"}
    assert {name: gpu[name] for name in cpu.keys() & gpu.keys()} == {
        name: version for name, version in cpu.items() if name != "faiss-cpu"
    }
    assert all(name.startswith(("faiss-gpu", "nvidia-")) for name in gpu.keys() - cpu.keys())


def test_no_pin_file_is_committed_unmade() -> None:
    for file in (ROOT / "envs").glob("*.pin.txt"):
        text = file.read_text(encoding="utf-8")
        assert "made by `make pins`" in text
        assert "file://" not in text


def fake_conda(folder: Path, platform: str, created: int, listed: str) -> Path:
    """A program named conda that answers as told."""
    program = folder / "conda"
    program.write_text(
        f"""#!{sys.executable}
import sys
if sys.argv[1] == "info":
    print('{{"platform": "{platform}"}}')
elif sys.argv[1] == "env":
    print("CondaHTTPError: HTTP 000 CONNECTION FAILED", file=sys.stderr)
    sys.exit({created})
else:
    print({listed!r})
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return folder


REAL = "# This file may be used\n@EXPLICIT\nhttps://channel.example/noarch/pip-26.conda#0123"
LOCAL = "@EXPLICIT\nfile:///somewhere/linux-64/pip-26.tar.bz2"


@pytest.mark.parametrize(
    "platform, created, listed, words",
    [
        ("osx-arm64", 0, REAL, "this conda is for osx-arm64"),
        ("linux-64", 1, REAL, "CONNECTION FAILED -> run it where the channel can be reached"),
        ("linux-64", 0, LOCAL, "packages of this machine"),
        (None, 0, REAL, "there is no conda on PATH"),
        ("linux-64", 0, REAL, None),
    ],
    ids=["other platform", "no channel", "this machine's packages", "no conda", "reached"],
)
def test_pins_are_made_where_they_can_be(
    checkout: Checkout,
    tmp_path: Path,
    platform: str | None,
    created: int,
    listed: str,
    words: str | None,
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if platform:
        fake_conda(programs, platform, created, listed)
    run = subprocess.run(
        [sys.executable, "workflow/pin_environments.py"], cwd=checkout.folder, text=True,
        env={"PATH": str(programs)}, capture_output=True, check=False,
    )  # fmt: skip
    pins = sorted((checkout.folder / "envs").glob("*.pin.txt"))
    if words is None:
        assert run.returncode == 0, run.stderr
        assert {file.name.split(".linux-64")[0] for file in pins} == {
            file.stem for file in (ROOT / "envs").glob("*.yaml")
        }
        assert pins[0].read_text(encoding="utf-8").splitlines()[1:] == REAL.splitlines()[1:]
    else:
        assert run.returncode == 7
        assert words in run.stderr
        assert pins == []


@pytest.fixture(scope="session")
def conda(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with a conda on PATH: the machine's, or a stand-in if one lies beside the checkout."""
    if shutil.which("conda"):
        return {}
    folder = Path(os.environ.get(TOOL, ROOT.parent / "shared/tools/local_conda"))
    if not (folder / "setup.sh").is_file():
        pytest.skip(f"--use-conda was NOT run: no conda on PATH, no stand-in ({TOOL})")
    channel = tmp_path_factory.mktemp("channel")
    tools = Path(sys.executable).parent
    made = subprocess.run(
        ["bash", "-c", 'source "$0/setup.sh" "$1" >&2 && env -0', str(folder), str(channel)],
        env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    variables = dict(line.split("=", 1) for line in made.stdout.split("\0") if "=" in line)
    return {name: variables[name] for name in ("PATH", "RCONDA_CHANNELS")}


@pytest.fixture
def big_disk(checkout: Checkout) -> Iterator[None]:
    """Room for six environments, five of them with torch; they are removed afterwards."""
    free = shutil.disk_usage(checkout.folder).free
    if free < ALL_ENVIRONMENTS:
        pytest.skip(f"--use-conda was NOT run for all phases: {free / 1e9:.0f} GB of disk are free")
    yield
    shutil.rmtree(checkout.folder / ".snakemake/conda", ignore_errors=True)


def with_conda(checkout: Checkout, conda: dict[str, str], *arguments: str) -> str:
    """Run Snakemake with conda environments; none of our code is on PYTHONPATH."""
    run = checkout.run("snakemake", *TINY, "--use-conda", *arguments, **conda, PYTHONPATH="")
    assert run.returncode == 0, run.stdout[-6000:]
    return run.stdout


def test_a_rule_runs_in_the_environment_of_its_phase(
    finished: Checkout, conda: dict[str, str], tmp_path: Path
) -> None:
    """The one without torch, so that every run of the tests can afford to make it.

    Snakemake makes the environments of all rules that it may have to run: here only one is allowed.
    """
    checkout = Checkout(tmp_path / "study")
    shutil.copytree(finished.folder, checkout.folder)
    notebook = "results/studies/tiny/report/notebooks/01_ingest.ipynb"
    printed = with_conda(checkout, conda, "--allowed-rules", "run_notebook", "--force", notebook)
    assert jobs(printed) == {"run_notebook": 1}
    assert "Creating conda environment envs/report.yaml" in printed
    (done,) = (checkout.folder / ".snakemake/conda").glob("*.env_setup_done")
    environment = done.with_name(done.name.removesuffix(".env_setup_done"))
    (ours,) = environment.glob("lib/python*/site-packages/valm.pth")
    assert ours.read_text(encoding="utf-8").strip() == str(checkout.folder / "src")
    assert f"Activating conda environment: .snakemake/conda/{environment.name}" in printed
    executed = (checkout.folder / notebook).read_text(encoding="utf-8")
    shutil.rmtree(checkout.folder)
    assert '"output_type"' in executed


@pytest.mark.slow
def test_the_study_runs_in_its_environments_and_without_them_alike(
    checkout: Checkout, conda: dict[str, str], big_disk: None
) -> None:
    printed = with_conda(checkout, conda)
    for phase in PLUGINS:
        assert f"Creating conda environment envs/{phase}.yaml" in printed
    assert {"fetch_source", "train_model", "score_models", "write_report"} <= set(jobs(printed))
    assert checkout.to_be_run() == {}
