"""kill -9 at any moment, then the same command again: the same bytes, nothing finished made twice."""

from __future__ import annotations

import time

import pytest
from builders.checkout import Checkout, jobs, kill_group

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("workflow")]


def wait_for(process, text: str) -> None:  # type: ignore[no-untyped-def]
    """Read what a process prints until a line holds a text."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}")


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
    assert checkout.manifests() == finished.manifests()
    assert sum(jobs(last.stdout).values()) <= len(finished.manifests()) + 6 - len(done) + 2


def test_a_second_run_in_one_folder_is_refused(checkout: Checkout) -> None:
    process = checkout.start()
    wait_for(process, "Writing the pictures")
    try:
        refused = checkout.run("python", "workflow/release_lock.py")
        assert refused.returncode == 5
        assert f"process {process.pid}" in refused.stdout
    finally:
        kill_group(process)
