"""``valm plan``: what would run, and how long it took in the past."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from valm.cli.dry_run import PlannedJob, planned_jobs
from valm.config.study import results_of

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
    table = Table(box=None, pad_edge=False)
    table.add_column("rule")
    table.add_column("jobs", justify="right")
    table.add_column("expected time", justify="right")
    rules = list(dict.fromkeys(job.rule for job in jobs))
    for rule in rules:
        own = [job for job in jobs if job.rule == rule]
        table.add_row(rule, str(len(own)), _in_words(expected_seconds(job) for job in own))
    table.add_section()
    table.add_row("all", str(len(jobs)), _in_words(expected_seconds(job) for job in jobs))
    Console().print(table)
    print("Times are those of past runs, one job after another; more cores run jobs side by side.")


def expected_seconds(job: PlannedJob) -> float | None:
    """The seconds that a job took when it ran last, else the mean of its rule's other jobs.

    Returns:
        None if no job of its rule has run yet in this study.
    """
    _, study, *name = job.log.with_suffix(".tsv").parts
    benchmarks = results_of(study) / "benchmarks"
    own = benchmarks.joinpath(*name)
    if own.is_file():
        return _seconds(own)
    others = [_seconds(file) for file in (benchmarks / name[0]).rglob("*.tsv")]
    return fmean(others) if others else None


def _seconds(benchmark: Path) -> float:
    """Wall seconds of a benchmark file, over its repeats."""
    with benchmark.open(encoding="utf-8", newline="") as file:
        return fmean(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))


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
