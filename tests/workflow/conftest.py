"""The tiny study, made once for all tests of the workflow, in whatever processes they run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.checkout import Checkout, copy_repository
from filelock import FileLock


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An untouched copy."""
    return copy_repository(tmp_path)


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Checkout, subprocess.CompletedProcess[str]]:
    """The tiny study from nothing to its report, and what Snakemake printed.

    The first process makes it, under a lock; each works on a copy of its own.
    """
    own = tmp_path_factory.mktemp("tiny")
    everyones = own.parent.parent if "PYTEST_XDIST_WORKER" in os.environ else own.parent
    study, printed = everyones / "tiny_study", everyones / "tiny_study.txt"
    with FileLock(everyones / "tiny_study.lock"):
        if not printed.is_file():
            shutil.rmtree(study, ignore_errors=True)
            study.mkdir()
            run = copy_repository(study).snakemake()
            assert run.returncode == 0, run.stdout[-6000:]
            printed.write_text(run.stdout, encoding="utf-8")
    shutil.copytree(study, own, dirs_exist_ok=True)
    return Checkout(own), subprocess.CompletedProcess("snakemake", 0, printed.read_text("utf-8"))


@pytest.fixture
def finished(first_run: tuple[Checkout, object]) -> Iterator[Checkout]:
    """The finished tiny study; a test leaves it as it was."""
    checkout = first_run[0]
    before = checkout.manifests()
    yield checkout
    assert checkout.manifests() == before
