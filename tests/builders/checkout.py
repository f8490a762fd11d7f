"""A copy of the repository to run the workflow in, and what Snakemake says there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("config", "config.yaml", "envs", "notebooks", "src", "workflow")
TINY = ("--cores", "2", "--configfile", "config/studies/tiny.yaml")


@dataclass(frozen=True)
class Checkout:
    """A copy of what the workflow needs of the repository, in a folder of its own."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results/studies/tiny"

    @property
    def environment(self) -> dict[str, str]:
        tools = Path(sys.executable).parent
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("VALM_", "PYTEST"))}
        return clean | {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy; what it prints is in ``stdout``."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("snakemake", *TINY, *arguments)

    def to_be_run(self, *arguments: str) -> dict[str, int]:
        """Jobs by rule that would run, by a dry run; the targets, which do nothing, left out."""
        dry = self.snakemake("--dry-run", *arguments)
        assert dry.returncode == 0, dry.stdout[-3000:]
        return jobs(dry.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake on the tiny study as the leader of a process group of its own."""
        return self.start_command("snakemake", *TINY, *arguments)

    def start_command(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the copy as the leader of a process group of its own."""
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def manifests(self) -> Mapping[str, bytes]:
        """Every manifest of the study by its path."""
        files = sorted(self.results.rglob("*.manifest.json"))
        return {file.relative_to(self.results).as_posix(): file.read_bytes() for file in files}


TARGETS = {"all", "ingest", "embed", "retrieve", "train", "evaluate", "report", "total"}


def jobs(output: str) -> dict[str, int]:
    """Snakemake's table "Job stats"; the last one printed."""
    table = output.rpartition("Job stats:")[2].split("\n\n")[0]
    counted = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}
    return {name: count for name, count in counted.items() if name not in TARGETS}


def copy_repository(folder: Path) -> Checkout:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy2(source, folder / part)
    return Checkout(folder)


def kill_group(process: subprocess.Popen[str]) -> None:
    """kill -9 for Snakemake and all its jobs."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
