"""The tiny study, made once for all tests of the workflow."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.checkout import Checkout, copy_repository


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An untouched copy."""
    return copy_repository(tmp_path)


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Checkout, subprocess.CompletedProcess[str]]:
    """The tiny study from nothing to its report, and what Snakemake printed."""
    checkout = copy_repository(tmp_path_factory.mktemp("tiny"))
    run = checkout.snakemake()
    assert run.returncode == 0, run.stdout[-6000:]
    return checkout, run


@pytest.fixture
def finished(first_run: tuple[Checkout, object]) -> Iterator[Checkout]:
    """The finished tiny study; a test leaves it as it was."""
    checkout = first_run[0]
    before = checkout.manifests()
    yield checkout
    assert checkout.manifests() == before
