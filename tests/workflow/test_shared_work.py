"""Two studies in one folder: the second takes from the first what it would make in the same way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from builders.checkout import ROOT, Checkout, jobs

from valm.core.manifest import verify_files
from valm.report.results import Results

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]

TINY = yaml.safe_load((ROOT / "config/studies/tiny.yaml").read_text(encoding="utf-8"))


def write_study(checkout: Checkout, name: str, **changed: object) -> list[str]:
    """A study like the tiny one; the arguments by which Snakemake runs it."""
    file = checkout.folder / f"config/studies/{name}.yaml"
    file.write_text(yaml.safe_dump(TINY | {"study": name} | changed), encoding="utf-8")
    return ["--cores", "2", "--configfile", file.relative_to(checkout.folder).as_posix()]


def made_here(checkout: Checkout, study: str) -> set[str]:
    """The rules of which a study did work itself; fetching looks at files that are there."""
    logs = checkout.folder / "logs" / study
    did = {
        path.relative_to(logs).parts[0].removesuffix(".log")
        for path in logs.rglob("*.log")
        if "taken from" not in path.read_text(encoding="utf-8")
    }
    return did - {"fetch_source"}


def test_the_second_study_makes_what_its_own_key_reaches(finished: Checkout) -> None:
    longer = write_study(finished, "longer", train=TINY["train"] | {"steps": 22})
    plan = finished.run("python", "-m", "valm", "plan", "train", *longer)
    assert plan.returncode == 0, plan.stdout
    planned = {
        rule: int(n) - int(taken)
        for rule, n, taken in re.findall(r"^(\w+) +(\d+) +(\d+)", plan.stdout, re.M)
    }
    assert {rule for rule, left in planned.items() if left} == {
        "fetch_source",
        "train_model",
        "all",
    }

    run = finished.run("snakemake", "retrieve", "train", *longer)

    assert run.returncode == 0, run.stdout[-3000:]
    assert made_here(finished, "longer") == {"train_model"}
    theirs, ours = finished.results, finished.folder / "results/studies/longer"
    for path in sorted(ours.rglob("*.manifest.json")):
        same = theirs / path.relative_to(ours)
        assert (path.read_bytes() == same.read_bytes()) == (path.parts[-4] != "train"), path
        for name in verify_files(path).files:
            if path.parts[-4] != "train":
                assert (path.parent / name).samefile(same.parent / name)
    taken = Results(ours).benchmarks().filter(made_by="tiny")
    assert set(taken["rule"]) == set(jobs(run.stdout)) - {"fetch_source", "train_model"}
    assert finished.run("snakemake", "retrieve", "train", "--dry-run", *longer).stdout.count(
        "Nothing to be done"
    )


def test_two_studies_at_once_do_the_work_once(checkout: Checkout) -> None:
    arguments = [write_study(checkout, name) for name in ("one", "two")]
    running = [checkout.start_command("snakemake", "embed", *each) for each in arguments]
    printed = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    did = [made_here(checkout, name) for name in ("one", "two")]
    entries = [
        json.loads(path.read_bytes())
        for path in (checkout.folder / "results/shared").rglob("*.json")
    ]
    makers: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        makers.setdefault(Path(entry["manifest"]).parts[2:], []).append(entry["made_by"])
    assert makers
    for result, made_by in makers.items():
        if result[:2] == ("ingest", "sources"):  # a raw file is looked at where it is asked for
            assert sorted(made_by) == ["one", "two"], (result, did)
        else:
            assert made_by in (["one", "one"], ["two", "two"]), (result, did)
