"""``valm adopt``: results that came from elsewhere are verified, then Snakemake takes them for its own.

Snakemake compares a job's settings, code and inputs with its record of the job's last run. The
record lies in ``.snakemake/``, which neither git nor DVC brings, and a checkout scrambles the times
of files. ``snakemake --touch`` writes both anew, for whatever lies there; so what lies there is
verified first.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from valm.cli.dry_run import PlannedJob, planned_jobs
from valm.cli.explain import changes
from valm.core.digest import digest_data
from valm.core.manifest import check_parents, verify_files
from valm.core.progress import track
from valm.core.shared import offer
from valm.errors import InputError, ResumeError, ValmError


def adopt(arguments: Sequence[str]) -> str:
    """Verify every result of a study against its manifest, the settings and the code; then touch.

    Args:
        arguments: Further arguments of Snakemake (``--configfile``, ``--config``, a target).

    Returns:
        What was adopted, and how many jobs are left to run.

    Raises:
        InputError: No result lies there, or a manifest is malformed.
        IntegrityError: A file or an input differs from what a manifest says.
        ResumeError: A result was made with other settings or other code.
    """
    jobs = planned_jobs(["--forceall", *arguments])
    made = [job for job in jobs if job.output.is_file()]
    if not made:
        raise InputError("there are no results to adopt", cure="fetch them: dvc pull")
    for job in track(made, "verifying", len(made), "results"):
        _verify(job)
    for job in made:
        if asked := job.asked():
            offer(asked)
    _touch([job.output.as_posix() for job in made], arguments)
    left = len(planned_jobs(arguments))
    return f"{len(made)} results verified and adopted; {left or 'no'} jobs are left to run"


def _verify(job: PlannedJob) -> None:
    """Files, inputs, settings and code of one result."""
    verify_files(job.output)
    manifest = check_parents(job.output)
    recipe = manifest.recipe
    handed = {"section": job.section, "choices": recipe.choices}
    if digest_data(handed) == manifest.config_digest and job.code == manifest.code_digest:
        return
    keys = [f"{key}: {words}" for key, words in changes(recipe.section, job.section)]
    raise ResumeError(
        f"it was made with other {'settings: ' + '; '.join(keys) if keys else 'code'}",
        where=job.output,
        cure="adopt it in the commit that it was made at; change settings and code afterwards",
    )


def _touch(results: Sequence[str], arguments: Sequence[str]) -> None:
    """Let Snakemake set the times of results, inputs first, and record how they were made."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--touch", "--forceall"]
    run = subprocess.run(
        [*command, *results, *arguments, "--quiet", "all"],  # targets stand together
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        check=False,
    )  # fmt: skip
    if run.returncode:
        said = [line for line in run.stdout.splitlines() if line.strip()]
        raise ValmError(f"snakemake --touch failed: {' '.join(said[-3:])}")
