"""``valm plan``: what would run, and how long it took in the past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

import polars as pl
from rich.console import Console
from rich.table import Table

from valm.cli.dry_run import PlannedJob, planned_jobs, to_be_taken
from valm.config.study import results_of
from valm.report.results import Results

UNKNOWN = "unknown"


def print_plan(arguments: Sequence[str]) -> None:
    """Print the jobs that would run, by rule, with the time that they took in past runs.

    Args:
        arguments: Snakemake's: a target, ``--configfile``, ``--config``.
    """
    jobs = planned_jobs(arguments)
    if not jobs:
        print("nothing to do")
        return
    taken = to_be_taken(jobs)
    own = [job for job in jobs if job.output not in taken]
    benchmarks = Results(results_of(jobs[0].log.parts[1])).benchmarks()
    table = Table(box=None, pad_edge=False)
    table.add_column("rule")
    for column in ("jobs", "taken", "expected time"):
        table.add_column(column, justify="right")
    for rule in [*dict.fromkeys(job.rule for job in jobs), None]:
        if rule is None:
            table.add_section()
        mine = [job for job in jobs if rule in (job.rule, None)]
        done = [job for job in own if rule in (job.rule, None)]
        times = _in_words(expected_seconds(job, benchmarks) for job in done) if done else "none"
        table.add_row(rule or "all", str(len(mine)), str(len(mine) - len(done)), times)
    Console().print(table)
    if taken:
        makers = ", ".join(sorted({entry.made_by for entry in taken.values()}))
        print(f"Taken is what other studies have made: {makers}.")
    print("Times are those of past runs, one job after another; more cores run jobs side by side.")


def expected_seconds(job: PlannedJob, benchmarks: pl.DataFrame) -> float | None:
    """The seconds that a job took when it ran last, else the mean of its rule's other jobs.

    Args:
        benchmarks: What was measured of the study's jobs.

    Returns:
        None if no job of its rule has run yet in this study.
    """
    if benchmarks.is_empty():
        return None
    _, _, rule, *name = job.log.with_suffix("").parts
    of_rule = benchmarks.filter(rule=rule)
    for known in (of_rule.filter(job="/".join(name)), of_rule):
        seconds = known["s"].cast(pl.Float64).drop_nulls()
        if len(seconds):
            return fmean(seconds)
    return None


def _in_words(times: Iterable[float | None]) -> str:
    """A sum of times, with how many of them nobody knows."""
    all_times = list(times)
    known = [seconds for seconds in all_times if seconds is not None]
    unknown = len(all_times) - len(known)
    if not known:
        return UNKNOWN
    total = sum(known)
    text = f"{total:.0f} s" if total < 120 else f"{total / 60:.0f} min"
    return f"{text} + {unknown} {UNKNOWN}" if unknown else text
